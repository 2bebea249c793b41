from __future__ import annotations

import logging

import pytest
from pydantic import Field

from pytest_kaizen.errors import StoreError
from pytest_kaizen.platforms import Health, RequestModel
from pytest_kaizen.server.operation import Access, Call, Operation
from pytest_kaizen.server.problem import Refusal

from .conftest import Book, MakeSite


class Order(RequestModel):
    number: int
    price: float = Field(ge=0)
    more: dict[str, object] | None = None


class Page(RequestModel):
    limit: int = Field(default=10, ge=1, le=50)


async def order(call: Call, body: Order, query: Page) -> Health:
    """Take an order."""
    return Health(status=f"{body.number} {query.limit}")


def broken(call: Call) -> Health:
    """Break."""
    raise ZeroDivisionError("secret")


def unstored(call: Call) -> Health:
    """Fail to read."""
    raise StoreError("cannot be read", path="/secret/place")


def refused(call: Call) -> Health:
    """Refuse."""
    raise Refusal(409, "there is one already", code="TAKEN")


def nothing(call: Call) -> None:
    """Do something."""


ORDERS = (
    Operation("POST", "/orders", Access.WRITE, order),
    Operation("GET", "/broken", Access.READ, broken),
    Operation("GET", "/unstored", Access.READ, unstored),
    Operation("GET", "/refused", Access.READ, refused, errors=(409,)),
    Operation("DELETE", "/orders", Access.WRITE, nothing, status=204),
)


@pytest.mark.asyncio
async def test_values_are_parsed_and_written(make_site: MakeSite) -> None:
    async with make_site(*ORDERS).client("both") as client:
        answer = await client.post("/orders/?limit=3&limit=4&unknown=1", json={"number": 7, "price": 1})
        assert (answer.status_code, answer.json()) == (200, {"status": "7 4"})
        assert answer.headers["content-type"] == "application/json"
        gone = await client.delete("/orders")
        assert (gone.status_code, gone.content) == (204, b"")


@pytest.mark.parametrize(
    ("query", "content", "status", "code", "detail"),
    [
        ("", b'{"number": 7', 400, "BAD_JSON", "the body is no JSON that can be read: Invalid JSON: EOF"),
        ("", b"", 400, "BAD_JSON", "the body is no JSON that can be read: Invalid JSON: EOF"),
        ("", b"[" * 5000, 400, "BAD_JSON", "the body is no JSON that can be read: Invalid JSON: recursion"),
        ("", b'{"number": "\xff"}', 400, "BAD_JSON", "the body is no JSON that can be read: Invalid JSON: "),
        ("", b"[]", 422, "INVALID", "body: Input should be an object"),
        (
            "",
            b'{"number": "x", "price": -1}',
            422,
            "INVALID",
            "body.number: Input should be a valid",
        ),
        (
            "limit=51",
            b'{"number": 1, "price": 1}',
            422,
            "INVALID",
            "query.limit: Input should be less",
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_wrong_request(
    make_site: MakeSite, query: str, content: bytes, status: int, code: str, detail: str
) -> None:
    async with make_site(*ORDERS).client("both") as client:
        answer = await client.post(f"/orders?{query}", content=content)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["error"]["code"] == code
    assert problem["detail"].startswith(detail)


@pytest.mark.asyncio
@pytest.mark.wire("shared: one error body")
async def test_the_error_body_is_what_all_clients_read(make_site: MakeSite) -> None:
    async with make_site(*ORDERS).client("both") as client:
        answer = await client.get("/refused/")
    assert answer.status_code == 409
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "there is one already",
        "instance": "/refused/",
        "error": {"code": "TAKEN", "message": "there is one already"},
    }


@pytest.mark.asyncio
async def test_a_failure_says_nothing_of_the_inside(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_site(*ORDERS).client("both") as client:
        with caplog.at_level(logging.ERROR, logger="pytest_kaizen.server"):
            failed = await client.get("/broken", headers={"X-Request-Id": "ours-1"})
            unstored = await client.get("/unstored")
    assert failed.status_code == 500
    assert failed.json()["detail"] == "the server failed; its log says more under ours-1"
    assert "ZeroDivisionError: secret" in caplog.text
    assert unstored.status_code == 503
    assert unstored.headers["retry-after"] == "5"
    assert "secret" not in failed.text + unstored.text


@pytest.mark.asyncio
async def test_keys_that_cannot_be_read(make_site: MakeSite, book: Book) -> None:
    book.break_off()
    async with make_site(*ORDERS).client("both") as client:
        assert (await client.get("/refused")).status_code == 503


@pytest.mark.asyncio
async def test_request_ids(make_site: MakeSite) -> None:
    async with make_site(*ORDERS).client("both") as client:
        ids = [
            (await client.get("/refused", headers=given)).headers["x-request-id"]
            for given in ({}, {"X-Request-Id": "abc-1"}, {"X-Request-Id": "a b"}, {})
        ]
    assert ids[1] == "abc-1"
    assert len({*ids}) == 4
    assert all(len(made) == 16 for made in (ids[0], ids[2], ids[3]))


@pytest.mark.asyncio
async def test_a_body_that_is_too_long(make_site: MakeSite) -> None:
    async with make_site(*ORDERS, max_body_bytes=1024).client("both") as client:
        fits = await client.post("/orders", content=b'{"number": 1, "price": 1}'.ljust(1024))
        long = await client.post("/orders", content=b'{"number": 1, "price": 1}'.ljust(1025))
    assert fits.status_code == 200
    assert long.status_code == 413
    assert long.json()["detail"] == "the body is longer than the 1024 bytes that are taken"


@pytest.mark.asyncio
async def test_a_key_that_asks_too_often(make_site: MakeSite) -> None:
    site = make_site(*ORDERS, requests_per_s=0.001)
    async with site.client("both") as client, site.client("reads") as other:
        first = await client.get("/refused")
        second = await client.get("/refused")
        third = await other.get("/refused")
    assert [first.status_code, second.status_code, third.status_code] == [409, 429, 409]
    assert 900 < int(second.headers["retry-after"]) <= 1000


@pytest.mark.asyncio
async def test_what_is_counted(make_site: MakeSite) -> None:
    site = make_site(*ORDERS)
    async with site.client("both") as client:
        await client.get("/refused")
        await client.get("/secret-text")
    text = site.state.metrics.text().decode()
    assert 'kaizen_requests_total{method="GET",path="/refused",status="409"} 1.0' in text
    assert 'kaizen_requests_total{method="none",path="none",status="404"} 1.0' in text
    assert 'kaizen_request_seconds_count{method="GET",path="/refused"} 1.0' in text
    assert "kaizen_requests_open 0.0" in text
    assert "secret-text" not in text
