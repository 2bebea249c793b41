"""The rows of Kalmia's page about experiments, asked by its own client, in process and over a socket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from pytest_kaizen import KalmiaClient
from pytest_kaizen.errors import KalmiaError
from pytest_kaizen.models import Trace
from pytest_kaizen.platforms.connections import BACKGROUND
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from tests.server.conftest import Book, MakeSite
from tests.server.routes.conftest import Clients

Connect = Callable[[str], KalmiaClient]


@pytest.fixture
def connect(clients: Clients) -> Connect:
    """Make clients by the name of a key."""
    return lambda name: clients.make(KalmiaClient, name)


@pytest.fixture
def client(connect: Connect) -> KalmiaClient:
    return connect("both")


def ask(client: KalmiaClient, method: str, path: str, json: object = None, **more: str) -> httpx.Response:
    """What the client has no method for."""
    headers = {"Authorization": f"Bearer {client._key._key}", **more}

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
            return await http.request(method, path, json=json, headers=headers)

    return BACKGROUND.run(asked())


def a_trace(trace_id: str, correlation_id: str, **root: Any) -> KalmiaTrace:
    span = {"id": trace_id, "span_parents": [], "name": "agent", **root}
    metadata = {"correlationId": correlation_id}
    return KalmiaTrace.model_validate({"id": trace_id, "metadata": metadata, "spans": [span]})


def call_of(trace_id: str, **metrics: float) -> dict[str, Any]:
    return {
        "name": "anthropic chat",
        "span_attributes": {"type": "llm"},
        "metadata": {"model": "claude-haiku-4-5"},
        "metrics": metrics,
    }


@pytest.mark.wire("kalmia: POST /api/experiments", "kalmia: GET /api/experiments")
def test_post_get_experiments(client: KalmiaClient) -> None:
    assert client.list_experiments() == []
    made = client.create_experiment("one", ["a", "b"])
    assert (made.name, made.correlation_ids) == ("one", ["a", "b"])
    assert str(UUID(made.id)) == made.id
    answer = ask(client, "POST", "/api/experiments/", {"name": "two", "correlationIds": []})
    assert answer.status_code == 201
    assert list(answer.json()) == ["id", "name", "correlationIds", "createdAt"]
    assert answer.json()["createdAt"].endswith("Z")
    listed = ask(client, "GET", "/api/experiments").json()
    assert list(listed) == ["experiments"]
    assert listed["experiments"][0] == answer.json()
    assert client.list_experiments()[1] == made


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"name": "", "correlationIds": []}])
def test_post_experiments_that_are_none(client: KalmiaClient, body: dict[str, Any]) -> None:
    assert ask(client, "POST", "/api/experiments", body).status_code == 422
    assert client.list_experiments() == []


def test_post_experiments_sent_again_with_its_key_is_one(client: KalmiaClient) -> None:
    body = {"name": "one", "correlationIds": ["a"]}
    first, second = [ask(client, "POST", "/api/experiments", body, **{"Idempotency-Key": "k"}) for _ in "ab"]
    assert first.json() == second.json()
    assert len(client.list_experiments()) == 1


def test_post_experiments_with_too_many_ids(make_site: MakeSite, book: Book) -> None:
    transport = httpx.ASGITransport(app=make_site(max_batch=2).app)
    with KalmiaClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport) as client:
        with pytest.raises(KalmiaError, match="3 correlation ids; give 2 at most") as caught:
            client.create_experiment("x", ["a", "b", "c"])
        assert caught.value.status_code == 413


@pytest.mark.wire("kalmia: GET /api/experiments/{experiment_id}")
def test_get_an_experiment_whose_traces_arrive_before_and_after(client: KalmiaClient) -> None:
    before = a_trace("t1", "a", metrics={"start": 1.0, "end": 2.0}, scores={"polite": 0.5})
    other = a_trace("t0", "z")
    client.ingest([before, other])
    made = client.create_experiment("one", ["a", "b"])
    found = client.get_experiment(made.id)
    assert (found.id, found.name, found.created_at) == (made.id, made.name, made.created_at)
    assert found.traces == [before]
    assert found.metrics is not None
    assert (found.metrics.traces, found.metrics.errors) == (1, 0)
    after = a_trace(
        "t2", "b", metrics={"start": 1.0, "end": 4.0}, error="boom", created="2026-03-30T10:00:00Z"
    )
    client.ingest([after])
    found = client.get_experiment(made.id)
    assert [trace.id for trace in found.traces] == ["t2", "t1"]
    assert found.metrics is not None
    assert found.metrics.to_json() == {
        "traces": 2,
        "errors": 1,
        "error_rate": 0.5,
        "score": {"polite": {"mean": 0.5, "n": 1}},
        "latency_ms": {"p50": 1000.0, "p95": 3000.0},
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
    }


def test_get_an_experiment_counts_what_its_calls_used_as_it_stands(client: KalmiaClient) -> None:
    made = client.create_experiment("one", ["a"])
    client.ingest([a_trace("t1", "a", **call_of("t1", start=1.0, prompt_tokens=100, completion_tokens=10))])
    figures = client.get_experiment(made.id).metrics
    assert figures is not None
    assert (figures.input_tokens, figures.output_tokens, figures.latency_ms.p50) == (100, 10, None)
    assert figures.cost_usd == pytest.approx(0.00015)
    client.ingest([a_trace("t1", "a", metrics={"end": 2.0})])
    client.submit_feedback("t1", "up")
    figures = client.get_experiment(made.id).metrics
    assert figures is not None
    assert (figures.input_tokens, figures.latency_ms.p50) == (100, 1000.0)
    assert figures.score["rating"].mean == 1.0


def test_get_an_experiment_with_a_trace_that_came_another_way(client: KalmiaClient, book: Book) -> None:
    own = Trace(id="own", name="case", created_at=datetime(2026, 3, 30, tzinfo=UTC), output="x")
    book.store("ours").shelf.add([own])
    # That is how it is listed.
    (listed,) = client.list_traces().traces
    assert (listed.metadata or {})["correlationId"] == "own"
    made = client.create_experiment("one", ["own"])
    assert client.get_experiment(made.id).traces == [listed]


def test_get_an_experiment_of_another_workspace(client: KalmiaClient, connect: Connect) -> None:
    client.ingest([a_trace("t1", "a")])
    made = client.create_experiment("one", ["a"])
    stranger = connect("stranger")
    with pytest.raises(KalmiaError, match="there is no experiment") as caught:
        stranger.get_experiment(made.id)
    assert caught.value.status_code == 404
    assert stranger.list_experiments() == []
    theirs = stranger.create_experiment("mine", ["a"])
    assert stranger.get_experiment(theirs.id).traces == []


@pytest.mark.wire("kalmia: POST /api/behaviors", "kalmia: GET /api/behaviors")
def test_get_post_behaviors(client: KalmiaClient) -> None:
    assert client.list_behaviors() == []
    made = client.create_behavior("loops", "Does the same again.")
    assert (made.label, made.description) == ("loops", "Does the same again.")
    assert UUID(made.id)
    answer = ask(client, "POST", "/api/behaviors", {"label": "gives up", "description": ""})
    assert answer.status_code == 201
    assert list(answer.json()) == ["id", "label", "description", "createdAt"]
    listed = ask(client, "GET", "/api/behaviors").json()
    assert list(listed) == ["behaviors"]
    assert listed["behaviors"][0] == answer.json()
    assert client.list_behaviors()[1] == made
    with pytest.raises(KalmiaError, match="there is a behaviour 'loops' already") as caught:
        client.create_behavior("loops", "Other.")
    assert caught.value.status_code == 409
    assert ask(client, "POST", "/api/behaviors", {"label": "x"}).status_code == 422


@pytest.mark.wire("kalmia: POST /api/annotations", "kalmia: GET /api/annotations")
def test_get_post_annotations(client: KalmiaClient) -> None:
    client.ingest([a_trace("one", "a"), a_trace("two", "a")])
    made = [
        client.create_annotation("one", "loops", 0.75, "sk-ant-" + "q" * 40),
        client.create_annotation("two", "loops", 1.0),
        client.create_annotation("one", "gives up", 0.0),
    ]
    first = made[0]
    assert (first.trace_id, first.label, first.confidence) == ("one", "loops", 0.75)
    assert (first.notes, first.source, made[1].notes) == ("[redacted: Anthropic key]", "human", None)
    assert client.list_annotations() == made[::-1]
    assert client.list_annotations("one") == [made[2], made[0]]
    assert client.list_annotations(label="loops") == [made[1], made[0]]
    assert client.list_annotations("two", "loops") == [made[1]]
    assert client.list_annotations("three") == []
    listed = ask(client, "GET", "/api/annotations?trace_id=two").json()
    assert list(listed) == ["annotations"]
    assert list(listed["annotations"][0]) == [
        *("id", "trace_id", "label", "confidence", "notes", "source", "createdAt"),
    ]
    body = {"trace_id": "one", "label": "x", "confidence": 1}
    assert ask(client, "POST", "/api/annotations", body).status_code == 201
    for wrong in ({"confidence": 1.5}, {"confidence": "1"}, {"label": ""}, {"trace_id": 7}):
        assert ask(client, "POST", "/api/annotations", {**body, **wrong}).status_code == 422
    assert len(client.list_annotations()) == 4


def test_annotations_of_another_workspace(client: KalmiaClient, connect: Connect) -> None:
    client.ingest([a_trace("one", "a")])
    client.create_annotation("one", "loops", 0.75)
    client.create_behavior("loops", "Does the same again.")
    stranger = connect("stranger")
    with pytest.raises(KalmiaError, match="there is no trace 'one'") as caught:
        stranger.create_annotation("one", "loops", 0.5)
    assert caught.value.status_code == 404
    assert (stranger.list_annotations("one"), stranger.list_behaviors()) == ([], [])
