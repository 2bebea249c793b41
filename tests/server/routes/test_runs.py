"""Whole runs, brought by our own client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pytest_kaizen.models import Case, Run, Sample, Trace
from pytest_kaizen.platforms.connections import BACKGROUND
from pytest_kaizen.platforms.kaizen.client import RunsClient
from tests.server.conftest import Book
from tests.server.routes.conftest import Way

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUN = Run(id="run-1", created_at=NOW)
Put = Callable[..., httpx.Response]


def a_case(**fields: Any) -> Case:
    trace = Trace(
        id="t1", name="x", run_id="run-1", task="greet", case_id="a", created_at=NOW, output="hello"
    )
    given = {"id": "a", "run_id": "run-1", "task": "greet", "samples": [Sample(trace=trace, passed=True)]}
    return Case(**{**given, **fields})


@pytest.fixture
def put(way: Way, book: Book) -> Put:
    """What a client of ours would never send."""

    def put(path: str, body: object, key: str = "both") -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=way.transport, base_url=way.url) as http:
                return await http.put(path, json=body, headers={"X-API-Key": book.keys[key]})

        return BACKGROUND.run(asked())

    return put


def test_a_run_with_its_cases(way: Way, book: Book) -> None:
    async def bring() -> None:
        async with RunsClient(book.keys["both"], way.url, transport=way.transport) as client:
            for _ in range(2):
                assert (await client.put_run(RUN)).run_id == "run-1"
                assert (await client.put_cases("run-1", [a_case()])).cases == 1

    BACKGROUND.run(bring())
    store = book.store("ours")
    assert store.runs() == [RUN]
    assert store.cases("run-1") == [a_case()]


def test_what_is_refused(put: Put, book: Book) -> None:
    run = RUN.model_dump(mode="json")
    case = a_case().model_dump(mode="json")
    assert put("/api/runs/run-1/cases", {"cases": [case]}).status_code == 404
    assert put("/api/runs/run-1", {"run": run}, "reads").status_code == 403
    refused = {
        "/api/runs/other": {"run": run},
        "/api/runs/run-1": {"run": {**run, "created_at": "0001-01-01T00:00:00+14:00"}},
        "/api/runs/run-1/": {"run": {**run, "exit_status": 2**60}},
        "/api/runs/run-2": {"run": {"id": "run-2"}},
    }
    assert {path: put(path, body).status_code for path, body in refused.items()} == dict.fromkeys(
        refused, 422
    )
    assert book.store("ours").runs() == []
    assert put("/api/runs/run-1", {"run": run}).status_code == 200
    for cases in ([], [{**case, "run_id": "other"}], [{"id": "a"}], [{**case, "samples": [{"trace": 1}]}]):
        assert put("/api/runs/run-1/cases", {"cases": cases}).status_code == 422
    most = 1000
    answer = put("/api/runs/run-1/cases", {"cases": [case] * (most + 1)})
    assert (answer.status_code, "send 1000 at most" in answer.text) == (413, True)
    assert book.store("ours").cases("run-1") == []


def test_a_run_of_another_workspace_is_not_there(put: Put, book: Book) -> None:
    assert put("/api/runs/run-1", {"run": RUN.model_dump(mode="json")}, "stranger").status_code == 200
    case = a_case().model_dump(mode="json")
    assert put("/api/runs/run-1/cases", {"cases": [case]}).status_code == 404


def test_secrets_of_the_server_are_taken_out(put: Put, book: Book) -> None:
    secret = "sk-ant-api03-" + "x" * 80
    case = a_case().model_dump(mode="json")
    case["samples"][0]["trace"]["output"] = f"the key is {secret}"
    put("/api/runs/run-1", {"run": RUN.model_dump(mode="json")})
    assert put("/api/runs/run-1/cases", {"cases": [case]}).status_code == 200
    output = book.store("ours").cases("run-1")[0].samples[0].trace.output
    assert str(output).startswith("the key is ")
    assert secret not in str(output)
