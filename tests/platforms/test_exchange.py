"""What a client does when the server does not do what it should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from pytest_kaizen import AsyncCTClient, CTClient, KaybaClient
from pytest_kaizen.errors import (
    CTAuthError,
    CTError,
    CTNotFoundError,
    CTServerError,
    CTValidationError,
    KaybaAPIError,
)
from pytest_kaizen.platforms import Timeouts, exchange
from pytest_kaizen.platforms.exchange import idempotency_key

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback, Stopwatch

KEY = "ct-secret-0123456789"
JOB = "5a6b7c8d-0000-4000-8000-000000000003"
NO_TASKS = "[]"
SCORED = (
    '{"id": "9e8d7c6b-0000-4000-8000-000000000005", "task_id": "3b4e1f2a-0000-4000-8000-000000000001",'
    ' "created_at": "2026-03-30T10:00:00Z", "score": 0.5}'
)
OPTIMIZE = "/api/v1/optimize/summarize"


@pytest.fixture
def client(loopback: Loopback) -> CTClient:
    return CTClient(KEY, loopback.url, timeout=30.0)


def lines(loopback: Loopback) -> list[str]:
    return [request.line.removesuffix(" HTTP/1.1") for request in loopback.received]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_reads_are_repeated(loopback: Loopback, client: CTClient, status: int) -> None:
    loopback.answer(status, "{}")
    loopback.answer(status, "{}")
    loopback.answer(200, NO_TASKS)
    assert client.list_tasks() == []
    assert lines(loopback) == ["GET /api/v1/tasks?limit=200"] * 3


def test_three_attempts_are_all(loopback: Loopback, client: CTClient) -> None:
    for _ in range(4):
        loopback.answer(503, '{"title": "Unavailable", "detail": "back soon", "status": 503}')
    with pytest.raises(CTServerError) as error:
        client.list_tasks()
    assert len(loopback.received) == 3
    assert str(error.value) == f"GET {loopback.url}/api/v1/tasks: 503: back soon"
    assert (error.value.status_code, error.value.detail) == (503, "back soon")
    assert error.value.transient


@pytest.mark.parametrize(
    ("status", "kind"), [(400, CTError), (401, CTAuthError), (404, CTNotFoundError), (422, CTValidationError)]
)
def test_refusals_are_final(loopback: Loopback, client: CTClient, status: int, kind: type[CTError]) -> None:
    loopback.answer(status, '{"title": "No", "detail": "because", "status": 4}')
    with pytest.raises(CTError) as error:
        client.list_tasks()
    assert type(error.value) is kind
    assert (error.value.status_code, error.value.detail, error.value.transient) == (status, "because", False)
    assert len(loopback.received) == 1


def test_posts_are_repeated_under_one_key(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(500, "{}")
    loopback.answer(200, SCORED)
    assert client.score("t-1", 0.5).score == 0.5
    first, second = (request.headers["idempotency-key"] for request in loopback.received)
    assert first == second


def test_a_given_key_is_sent(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(200, SCORED)
    loopback.answer(200, SCORED)
    with idempotency_key("sample-17"):
        client.score("t-1", 0.5)
    client.score("t-1", 0.5)
    given, own = (request.headers["idempotency-key"] for request in loopback.received)
    assert given == "sample-17"
    assert own != given


def test_a_given_key_fits_a_header() -> None:
    with pytest.raises(ValueError, match="an idempotency key is visible ASCII"), idempotency_key("two words"):
        pass


def test_what_costs_money_is_not_started_twice(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(502, "{}")
    loopback.send(b"")
    for _ in range(2):
        with pytest.raises(CTError) as error:
            client.trigger_optimization("summarize")
        assert error.value.transient
    assert lines(loopback) == [f"POST {OPTIMIZE}"] * 2
    loopback.answer(429, "{}")
    loopback.answer(409, '{"detail": "a job is active"}')
    with pytest.raises(CTError, match="409: a job is active"):
        client.trigger_optimization("summarize")
    assert len(loopback.received) == 4


def test_retry_after_is_obeyed(
    loopback: Loopback, client: CTClient, stopwatch: Callable[[], Stopwatch]
) -> None:
    loopback.answer(429, "{}", Retry_After="1")
    loopback.answer(200, NO_TASKS)
    watch = stopwatch()
    client.list_tasks()
    assert 1.0 <= watch.seconds < 25.0


def test_a_wait_beyond_the_limit_is_not_begun(
    loopback: Loopback, client: CTClient, stopwatch: Callable[[], Stopwatch]
) -> None:
    loopback.answer(429, "{}", Retry_After="3600")
    watch = stopwatch()
    with pytest.raises(CTError) as error:
        client.list_tasks()
    assert watch.seconds < 25.0
    assert error.value.retry_after == 3600.0
    assert error.value.transient


def test_a_broken_connection_is_tried_again(loopback: Loopback, client: CTClient) -> None:
    loopback.send(b"")
    loopback.send(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{"id"')
    loopback.answer(200, NO_TASKS)
    assert client.list_tasks() == []


def test_a_refused_connection_is_an_error(stopwatch: Callable[[], Stopwatch]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    watch = stopwatch()
    with pytest.raises(CTError, match=r"cannot connect: .*refused") as error:
        CTClient(KEY, url).trigger_optimization("summarize")
    assert (error.value.status_code, error.value.transient) == (None, True)
    assert watch.seconds < 25.0


def test_a_refused_connection_is_tried_again_even_for_what_costs_money(loopback: Loopback) -> None:
    attempts = []

    class FirstRefuses(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            attempts.append(request.url.path)
            if len(attempts) == 1:
                raise httpx.ConnectError("refused")
            return await super().handle_async_request(request)

    loopback.answer(409, '{"detail": "a job is active"}')
    with pytest.raises(CTError, match="409"):
        CTClient(KEY, loopback.url, transport=FirstRefuses()).trigger_optimization("summarize")
    assert attempts == [OPTIMIZE] * 2


@pytest.mark.parametrize("head_first", [True, False])
def test_a_slow_drip_ends_at_the_total_limit(
    loopback: Loopback, stopwatch: Callable[[], Stopwatch], head_first: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    if head_first:
        loopback.drip(b" " * 1000, 0.05, first=head)
    else:
        loopback.drip(head, 0.05)
    watch = stopwatch()
    with pytest.raises(CTError, match=r"no whole answer within 0\.4 s") as error:
        CTClient(KEY, loopback.url, timeout=0.4).list_tasks()
    assert 0.4 <= watch.seconds < 25.0
    assert error.value.transient


def test_silence_ends_at_the_read_limit(loopback: Loopback, stopwatch: Callable[[], Stopwatch]) -> None:
    loopback.silence()
    # On a busy machine an answer or two come later than the limit, too.
    for _ in range(3):
        loopback.answer(200, NO_TASKS)
    watch = stopwatch()
    client = CTClient(KEY, loopback.url, timeout=Timeouts(connect=20.0, read=0.5, total=30.0))
    assert client.list_tasks() == []
    assert 0.5 <= watch.seconds < 25.0


def test_the_last_failure_is_told_with_the_limit(loopback: Loopback) -> None:
    loopback.answer(503, '{"detail": "back soon"}')
    loopback.silence()
    with pytest.raises(CTError, match=r"no whole answer within 5 s \(before that: .*503: back soon\)"):
        CTClient(KEY, loopback.url, timeout=5.0).list_tasks()


@pytest.mark.asyncio
async def test_the_limit_holds_for_async_clients(
    loopback: Loopback, stopwatch: Callable[[], Stopwatch]
) -> None:
    loopback.drip(b"HTTP/1.1 200 OK\r\n" * 1000, 0.05)
    watch = stopwatch()
    async with AsyncCTClient(KEY, loopback.url, timeout=0.3) as client:
        with pytest.raises(CTError, match=r"no whole answer within 0\.3 s"):
            await client.list_tasks()
    assert watch.seconds < 25.0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(loopback: Loopback, client: CTClient, status: int) -> None:
    loopback.answer(status, "", Location=f"{loopback.url}/elsewhere?token=x")
    with pytest.raises(CTError) as error:
        client.list_tasks()
    assert lines(loopback) == ["GET /api/v1/tasks?limit=200"]
    assert str(error.value) == (
        f"GET {loopback.url}/api/v1/tasks: {status}: a redirect to {loopback.url}/elsewhere, "
        "which is not followed with a key; set the base URL to its goal"
    )


def test_a_page_instead_of_json_is_an_error_that_shows_it(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(200, "<html>\n<h1>Log in</h1>\x1b[31m", "text/html")
    with pytest.raises(CTError) as error:
        client.list_tasks()
    assert str(error.value) == (
        f"GET {loopback.url}/api/v1/tasks: 200 with text/html where JSON was promised: "
        "'<html> <h1>Log in</h1> [31m'"
    )


@pytest.mark.parametrize("body", ['{"tasks": []}', '[{"id": "1"}]', "null", "[" * 100_000])
def test_other_json_than_promised_is_an_error(loopback: Loopback, client: CTClient, body: str) -> None:
    loopback.answer(200, body)
    with pytest.raises(CTError, match="200 with "):
        client.list_tasks()
    assert len(loopback.received) == 1


def test_what_does_not_fit_is_named(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(200, '{"id": "job-1", "status": "SUCCESS"}')
    with pytest.raises(CTError) as error:
        client.get_job(JOB)
    assert str(error.value).startswith(
        f"GET {loopback.url}/api/v1/jobs/{JOB}: 200 with JSON that is no Job: id: "
    )
    assert str(error.value).endswith("; task_id: Field required; created_at: Field required")


def test_an_error_page_is_shown_in_one_line(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(404, "<h1>\nNot\x07 here</h1>" + "x" * 1000, "text/html")
    with pytest.raises(CTNotFoundError) as error:
        client.list_tasks()
    assert "404: <h1> Not here</h1>xxx" in str(error.value)
    assert len(str(error.value)) < 250


def test_rejected_input_is_not_repeated_in_the_message(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(
        422, '{"detail": [{"loc": ["body", "score"], "msg": "too large", "input": {"token": "hidden"}}]}'
    )
    with pytest.raises(CTValidationError, match=r"422: body\.score: too large$"):
        client.list_tasks()


def test_a_query_that_no_url_can_hold_is_not_sent(loopback: Loopback) -> None:
    client = KaybaClient(KEY, loopback.url)
    for section in ("x" * 70_000, "cut \ud83d"):
        with pytest.raises(KaybaAPIError, match="not sent: GET '/insights' is no URL with its query"):
            client.list_insights(section=section)
    assert loopback.received == []


def test_no_http_at_all_is_an_error(loopback: Loopback, client: CTClient) -> None:
    for _ in range(3):
        loopback.send(b"\x00\x01 SSH-2.0 nonsense\r\n\r\n")
    with pytest.raises(CTError, match="the connection broke"):
        client.list_tasks()


def test_an_endless_answer_is_cut(
    loopback: Loopback, client: CTClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 1 << 20)
    loopback.answer(200, " " * (2 << 20))
    with pytest.raises(CTError, match="the answer is longer than 1 MiB"):
        client.list_tasks()


def test_calls_from_many_threads(loopback: Loopback, client: CTClient) -> None:
    count = 20
    for _ in range(count):
        loopback.answer(200, NO_TASKS)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(client.list_tasks())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [[]] * count


def test_a_close_while_a_call_is_on_its_way(loopback: Loopback, client: CTClient) -> None:
    def close_first(peer: socket.socket) -> None:
        client.close()
        peer.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    loopback.then(close_first)
    loopback.answer(200, NO_TASKS)
    assert client.list_tasks() == []


def test_a_closed_client_opens_new_connections(loopback: Loopback, client: CTClient) -> None:
    for _ in range(2):
        loopback.answer(200, NO_TASKS)
        with client:
            client.list_tasks()
    assert len(loopback.received) == 2
