"""The rows of Kalmia's page about traces, and how parts of a trace merge."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_kaizen import KalmiaClient
from pytest_kaizen.models import ScoreSource, SpanKind, Trace, Usage
from pytest_kaizen.platforms.connections import BACKGROUND
from pytest_kaizen.platforms.kalmia.arrived import shown
from pytest_kaizen.platforms.kalmia.client import AsyncKalmiaClient
from tests.server.conftest import Book, Live, MakeSite, Site
from tests.server.routes.conftest import Clients

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "kalmia" / "ingest.json").read_text(encoding="utf-8")
)["request"]["body"][0]
ROOT = GOLDEN["id"]
LATER = {"start": 1.5, "end": 2.0}
OPEN: dict[str, Any] = {"start": 1.0, "end": None}
COSTLY: dict[str, Any] = {"start": 1.0, "end": None, "cost": 0.5}


@pytest.fixture
def client(clients: Clients) -> KalmiaClient:
    return clients.make(KalmiaClient, "both")


def send(client: KalmiaClient, body: Any, path: str = "/api/v1/traces/ingest") -> httpx.Response:
    """As the platform's own SDK sends it."""

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
            return await http.post(path, json=body, headers={"Authorization": f"Bearer {client._key._key}"})

    return BACKGROUND.run(sent())


def stored(book: Book, trace_id: str = ROOT) -> Trace:
    trace = book.store("ours").intake.one(trace_id)
    assert trace is not None
    return trace


def span(**more: Any) -> dict[str, Any]:
    return {"id": "s", "span_id": "s", "root_span_id": "s", "span_parents": [], **more}


def part(**more: Any) -> dict[str, Any]:
    return {"id": "s", "spans": [span(**more)]}


@pytest.mark.wire("kalmia: POST /api/v1/traces/ingest")
def test_ingest_and_list_as_it_came(client: KalmiaClient, book: Book) -> None:
    assert send(client, [GOLDEN]).json() == {"rejected": []}
    (listed,) = client.list_traces().traces
    assert listed.to_json() == GOLDEN
    trace = stored(book)
    root, call = trace.spans
    assert (trace.name, trace.input, trace.output) == ("agent", GOLDEN["input"], "Hi")
    assert (root.kind, root.parent_id, root.latency_ms) == (SpanKind.CHAIN, None, 1500.0)
    assert (call.kind, call.provider, call.model) == (SpanKind.LLM, "anthropic", "claude-haiku-4-5")
    assert (call.parent_id, call.text, call.error) == (ROOT, "Hi", "cut short")
    # Theirs leave the cached tokens out of the prompt's.
    assert call.usage == Usage(input_tokens=120, output_tokens=3, cache_read_tokens=100, cache_write_tokens=8)
    assert call.cost_usd is not None
    assert [(score.name, score.value, score.source) for score in trace.scores] == [
        ("polite", 1.0, ScoreSource.SDK)
    ]


def test_ingest_of_one_trace_and_the_same_twice(client: KalmiaClient, book: Book) -> None:
    assert send(client, GOLDEN, "/api/v1/traces/ingest/").json() == {"rejected": []}
    before = stored(book)
    send(client, [GOLDEN, GOLDEN])
    assert stored(book) == before
    assert len(client.list_traces().traces) == 1


def test_parts_in_any_order_make_the_whole(client: KalmiaClient, book: Book) -> None:
    send(client, GOLDEN)
    whole = stored(book)
    book.store("ours").shelf.delete(ROOT)
    root, call = GOLDEN["spans"]
    rest = {key: value for key, value in GOLDEN.items() if key != "spans"}
    early = deepcopy(root)
    del early["metrics"]["end"]
    send(client, {"id": ROOT, "spans": [call]})
    send(client, {**rest, "spans": [early]})
    assert stored(book).spans[1].latency_ms is None
    send(client, {"id": ROOT, "spans": [root]})
    made = stored(book)
    assert sorted(made.spans, key=lambda item: item.id) == sorted(whole.spans, key=lambda item: item.id)
    assert made.model_dump(exclude={"spans"}) == whole.model_dump(exclude={"spans"})


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        # A late batch with only the start keeps the end.
        ({"metrics": {"start": 1.0, "end": 2.0}}, {"metrics": {"start": 1.5}}, {"metrics": LATER}),
        ({"metrics": {"start": 1.0, "end": 2.0}}, {"metrics": {"end": None}}, {"metrics": OPEN}),
        ({"metrics": {"start": 1.0, "cost": 0.5}}, {"metrics": {"end": None}}, {"metrics": COSTLY}),
        ({"metadata": {"a": 1, "b": {"x": 1}}}, {"metadata": {"b": 2}}, {"metadata": {"a": 1, "b": 2}}),
        ({"metadata": {"a": 1}}, {"metadata": None}, {"metadata": None}),
        ({"metadata": {"a": 1}}, {}, {"metadata": {"a": 1}}),
        ({"output": {"a": 1}}, {"output": {"b": 2}}, {"output": {"b": 2}}),
        ({"output": "x"}, {"output": None}, {"output": None}),
        ({"output": "x"}, {}, {"output": "x"}),
        ({"scores": {"a": 1.0}}, {"scores": {"b": 0.5}}, {"scores": {"b": 0.5}}),
        ({"name": "one", "later": 1}, {"name": "two"}, {"name": "two", "later": 1}),
    ],
)
def test_how_a_span_merges(
    client: KalmiaClient,
    book: Book,
    first: dict[str, Any],
    second: dict[str, Any],
    merged: dict[str, Any],
) -> None:
    send(client, part(**first))
    send(client, part(**second))
    assert shown(stored(book, "s")).to_json() == part(**merged)


def test_how_a_trace_merges(client: KalmiaClient, book: Book) -> None:
    send(client, {"id": "t", "input": "a", "output": "b", "metadata": {"x": 1}, "project_id": "bot"})
    send(client, {"id": "t", "input": None, "metadata": {"y": 2}})
    assert shown(stored(book, "t")).to_json() == {
        "id": "t",
        "input": None,
        "output": "b",
        "metadata": {"x": 1, "y": 2},
        "project_id": "bot",
        "spans": [],
    }


def test_a_malformed_replay_is_stripped(client: KalmiaClient, book: Book) -> None:
    send(client, {"id": "t", "metadata": {"replay": {"provider": ""}, "x": 1}})
    assert shown(stored(book, "t")).metadata == {"x": 1}


def test_what_cannot_be_stored_is_named_and_the_rest_is_kept(client: KalmiaClient, book: Book) -> None:
    answer = send(
        client,
        [
            {"id": "good"},
            {"spans": []},
            {"id": "bad", "spans": [{"id": 7}]},
            {"id": "late", "spans": [{"id": "a", "metrics": {"start": 1e300}}]},
            {"id": "score", "spans": [{"id": "a", "scores": {"x": 2.0}}]},
            "text",
        ],
    )
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()["rejected"]] == ["", "bad", "late", "score", ""]
    assert answer.json()["rejected"][2]["reason"] == "1e+300 is no time"
    assert [trace.id for trace in book.store("ours").traces()] == ["good"]


@pytest.mark.parametrize(("body", "status"), [("text", 422), ([{}] * 4, 413)])
def test_a_batch_that_is_refused(make_site: MakeSite, book: Book, body: Any, status: int) -> None:
    site = make_site(max_batch=3)
    transport = httpx.ASGITransport(app=site.app)
    client = KalmiaClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport)
    assert send(client, body).status_code == status


@pytest.mark.wire("kalmia: GET /api/v1/traces")
def test_list_by_project_and_provider_page_by_page(client: KalmiaClient) -> None:
    names = {"anthropic chat": None, "openai chat": None, "chat": "gpt-5-mini", "other": "claude-x"}
    for number in range(8):
        name, model = list(names.items())[number % 4]
        attributes = {"span_attributes": {"type": "llm"}, "metadata": {"model": model}}
        send(
            client,
            {
                "id": f"t{number}",
                "project_id": "even" if number % 2 == 0 else "odd",
                "created": f"2026-03-30T10:00:0{number}Z",
                "spans": [{**span(name=name, **attributes), "id": f"s{number}"}],
            },
        )

    def ids(**asked: Any) -> list[list[str]]:
        pages, cursor = [], None
        while True:
            page = client.list_traces(**asked, cursor=cursor)
            pages.append([trace.id for trace in page.traces])
            cursor = page.next_cursor
            if cursor is None:
                return pages

    assert ids(limit=3) == [["t7", "t6", "t5"], ["t4", "t3", "t2"], ["t1", "t0"]]
    assert ids(limit=4) == [["t7", "t6", "t5", "t4"], ["t3", "t2", "t1", "t0"]]
    assert (
        ids(project="odd", limit=2) == [["t7", "t5"], ["t3", "t1"]] or ids(project="odd", limit=2)[-1] == []
    )
    assert ids(project="nothing") == [[]]
    assert ids(provider="anthropic") == [["t7", "t4", "t3", "t0"]]
    assert ids(provider="openai", project="odd") == [["t5", "t1"]]


def test_a_cursor_that_is_none(client: KalmiaClient, site: Site, book: Book) -> None:
    async def asked(cursor: str) -> int:
        async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
            headers = {"Authorization": f"Bearer {book.keys['reads']}"}
            return (await http.get("/api/v1/traces", params={"cursor": cursor}, headers=headers)).status_code

    assert [BACKGROUND.run(asked(cursor)) for cursor in ("x", "eA==", "ü", "fA==")] == [422] * 4


@pytest.mark.wire("kalmia: POST /api/v1/traces/{trace_id}/feedback")
def test_feedback(client: KalmiaClient, book: Book) -> None:
    send(client, GOLDEN)
    client.submit_feedback(ROOT, "down")
    client.submit_feedback(ROOT, comment="rude sk-ant-" + "q" * 40)
    rating = stored(book).scores[-1]
    assert (rating.name, rating.value, rating.source) == ("rating", 0.0, ScoreSource.HUMAN)
    assert rating.reason == "rude [redacted: Anthropic key]"
    client.submit_feedback(ROOT, "up")
    send(client, GOLDEN)
    assert [(score.name, score.value) for score in stored(book).scores] == [("polite", 1.0), ("rating", 1.0)]


def test_feedback_before_its_trace_and_with_an_odd_id(client: KalmiaClient, book: Book) -> None:
    odd = "run/abc 1%2F?"
    client.submit_feedback(odd, "up", "nice")
    assert client.list_traces().traces == []
    send(client, {"id": odd})
    (rating,) = stored(book, odd).scores
    assert (rating.value, rating.reason) == (1.0, "nice")


@pytest.mark.wire("kalmia: POST /api/traces/search")
def test_search(client: KalmiaClient, book: Book) -> None:
    send(client, [GOLDEN, {"id": "other", "project_id": "p", "output": "Hi there, lamp"}])
    book.open("ours").index(anyway=True)
    found = client.search_traces("hi")
    assert sorted(hit.trace.id for hit in found.results) == ["other", ROOT]
    assert found.total == 2
    assert all(0 < hit.score < 1 for hit in found.results)
    (hit,) = client.search_traces("hi", project="p").results
    assert (hit.trace.to_json()["output"], hit.snippet) == ("Hi there, lamp", hit.snippet)
    assert "lamp" in (hit.snippet or "")
    assert len(client.search_traces("hi", limit=1).results) == 1
    assert client.search_traces('"there lamp" -hi').results == []


def test_a_search_shows_as_many_as_a_page_has(client: KalmiaClient, book: Book) -> None:
    """All of them are counted, and more are shown to who asks for more."""
    send(client, [{"id": f"t{number}", "output": "needle"} for number in range(60)])
    book.open("ours").index(anyway=True)
    found = client.search_traces("needle")
    assert (len(found.results), found.total) == (50, 60)
    assert len(client.search_traces("needle", limit=1000).results) == 60


def test_traces_of_other_ways_are_listed_too(client: KalmiaClient, book: Book) -> None:
    own = Trace(
        id="ours",
        name="case",
        created_at=datetime(2026, 3, 30, tzinfo=UTC),
        output="x",
        metadata={"project": "p"},
    )
    book.store("ours").shelf.add([own])
    (listed,) = client.list_traces("p").traces
    assert (listed.id, listed.output, listed.project_id) == ("ours", "x", "p")
    assert [item.id for item in listed.spans] == ["ours"]


@pytest.mark.asyncio
async def test_over_a_socket(site: Site, book: Book) -> None:
    with Live(site.app) as live:
        async with AsyncKalmiaClient(book.keys["both"], live.url) as client:
            await client.submit_feedback("t", "up")
            assert (await client.list_traces()).traces == []
