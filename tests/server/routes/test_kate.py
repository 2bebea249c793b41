"""The rows of Kate's page, asked by its own client: in this process and over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from pytest_kaizen import KateClient
from pytest_kaizen.errors import KateError
from pytest_kaizen.models import AgentRunStatus
from pytest_kaizen.platforms.kate import Agent, Run
from tests.server.conftest import Book, Site
from tests.server.routes.conftest import Way

NOBODY = "11111111-1111-4111-8111-111111111111"
RUN = "0b9c3f6e-0000-4000-8000-0000000000ab"
#: As the seed documents a span, and as the platform's own SDK sends one.
SEEDS = {
    "node_name": "generate_strategy",
    "span_kind": "LLM",
    "input_text": "Create a strategy",
    "output_text": "Here it is",
    "model": "claude-haiku-4-5",
    "latency_ms": 2340,
    "token_count": 1250,
}
SDKS = {
    "name": "look_up",
    "span_kind": "TOOL",
    "input": {"city": "Zürich"},
    "output": [1, 2],
    "latency_ms": 1.5,
    "error": "timed out",
    "docstring": "Looks it up.",
}


@pytest_asyncio.fixture
async def client(way: Way, book: Book) -> AsyncIterator[KateClient]:
    async with KateClient(book.keys["both"], way.url, transport=way.transport) as made:
        yield made


@pytest_asyncio.fixture
async def stranger(way: Way, book: Book) -> AsyncIterator[KateClient]:
    async with KateClient(book.keys["stranger"], way.url, transport=way.transport) as made:
        yield made


@pytest_asyncio.fixture
async def agent(client: KateClient) -> Agent:
    return await client.agents.create("Support bot", domain="support", objective="Answer tickets.")


async def ask(client: KateClient, method: str, path: str, **more: Any) -> httpx.Response:
    """What the client has no method for."""
    headers = {"Authorization": f"Bearer {client._key._key}", **more.pop("headers", {})}
    async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
        return await http.request(method, path, headers=headers, **more)


async def refused(call: Any) -> tuple[int | None, str]:
    with pytest.raises(KateError) as caught:
        await call
    return caught.value.status_code, str(caught.value)


@pytest.mark.asyncio
@pytest.mark.wire("kate: GET /agents", "kate: POST /agents")
async def test_get_and_post_agents(client: KateClient, agent: Agent) -> None:
    assert str(UUID(agent.id)) == agent.id
    assert (agent.name, agent.domain, agent.objective) == ("Support bot", "support", "Answer tickets.")
    assert agent.status == "active"
    assert UUID(agent.owner_id or "")
    plain = await client.agents.create("Plain")
    assert (plain.domain, plain.objective, plain.owner_id) == ("general", None, agent.owner_id)
    assert await client.agents.list() == [plain, agent]
    answer = await ask(client, "GET", "/agents/")
    assert isinstance(answer.json(), list)
    assert list(answer.json()[0]) == [
        *("id", "name", "domain", "objective", "status", "owner_id", "created_at", "updated_at"),
    ]
    assert answer.json()[0]["created_at"].endswith("Z")
    assert (await ask(client, "POST", "/agents", json={"name": ""})).status_code == 422


@pytest.mark.asyncio
@pytest.mark.wire(
    "kate: GET /agents/{agent_id}",
    "kate: PATCH /agents/{agent_id}",
    "kate: DELETE /agents/{agent_id}",
)
async def test_get_patch_and_delete_an_agent(client: KateClient, agent: Agent) -> None:
    assert await client.agents.get(agent.id) == agent
    changed = await client.agents.update(agent.id, objective="sk-ant-" + "q" * 40)
    assert (changed.name, changed.objective) == ("Support bot", "[redacted: Anthropic key]")
    assert changed.created_at == agent.created_at
    assert changed.updated_at is not None
    assert agent.updated_at is not None
    assert changed.updated_at > agent.updated_at
    assert await client.agents.get(agent.id) == changed
    answer = await ask(client, "DELETE", f"/agents/{agent.id}")
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await refused(client.agents.get(agent.id)))[0] == 404
    assert (await refused(client.agents.delete(agent.id)))[0] == 404


@pytest.mark.asyncio
@pytest.mark.wire("kate: GET /agents/{agent_id}/runs")
async def test_get_runs_newest_first(client: KateClient, agent: Agent) -> None:
    assert await client.runs.list(agent.id) == []
    made = [await client.runs.create(agent.id) for _ in range(7)]
    assert await client.runs.list(agent.id) == made[:1:-1]
    assert await client.runs.list(agent.id, limit=3, offset=5) == made[1::-1]
    assert (await ask(client, "GET", f"/agents/{agent.id}/runs?limit=0")).status_code == 422


@pytest.mark.asyncio
@pytest.mark.wire("kate: POST /agents/{agent_id}/runs", "kate: GET /agents/{agent_id}/runs/{run_id}")
async def test_post_runs_with_and_without_an_id(client: KateClient, agent: Agent) -> None:
    answer = await ask(client, "POST", f"/agents/{agent.id}/runs", json={"trigger": "test", "run_id": RUN})
    assert answer.status_code == 201
    run = answer.json()
    assert list(run) == [
        *("id", "agent_id", "status", "trigger", "overall_score", "created_at", "completed_at"),
    ]
    assert (run["id"], run["agent_id"], run["status"], run["trigger"]) == (RUN, agent.id, "running", "test")
    assert (run["overall_score"], run["completed_at"]) == (None, None)
    assert await client.runs.get(agent.id, run_id=UUID(RUN).hex) == Run.model_validate(run)
    other = await client.runs.create(agent.id, "automatic")
    assert UUID(other.id) != UUID(RUN)
    status, text = await refused(client.runs.create(agent.id, run_id=RUN))
    assert (status, f"there is a run {RUN!r} already" in text) == (409, True)
    for body in ({"trigger": "other"}, {}, {"trigger": "test", "run_id": "run-1"}):
        assert (await ask(client, "POST", f"/agents/{agent.id}/runs", json=body)).status_code == 422


@pytest.mark.asyncio
async def test_post_runs_sent_again_with_its_key_is_one_run(client: KateClient, agent: Agent) -> None:
    more = {"json": {"trigger": "manual"}, "headers": {"Idempotency-Key": "k"}}
    first, second = [await ask(client, "POST", f"/agents/{agent.id}/runs", **more) for _ in range(2)]
    assert first.json() == second.json()
    assert len(await client.runs.list(agent.id)) == 1


@pytest.mark.asyncio
async def test_an_agent_with_an_id_of_its_own_begins_with_its_first_run(client: KateClient) -> None:
    assert (await refused(client.runs.list("agent-id_1")))[0] == 404
    run = await client.runs.create("agent-id_1")
    assert await client.runs.list("agent-id_1") == [run]
    assert [(agent.id, agent.name) for agent in await client.agents.list()] == [("agent-id_1", "agent-id_1")]
    for unknown in (NOBODY, "a b", "ä", "a/b", "x" * 129):
        assert (await refused(client.runs.create(unknown)))[0] == 404
    assert len(await client.agents.list()) == 1


@pytest.mark.asyncio
@pytest.mark.wire("kate: POST /agents/{agent_id}/runs/{run_id}/complete")
async def test_post_complete(client: KateClient, agent: Agent, book: Book) -> None:
    run = await client.runs.create(agent.id)
    done = await client.runs.complete(agent.id, run_id=run.id)
    assert (done.status, done.overall_score) == ("completed", None)
    assert done.completed_at is not None
    assert done.completed_at >= run.created_at
    assert await client.runs.get(agent.id, run_id=run.id) == done
    # A completed run stays completed.
    assert await client.runs.complete(agent.id, run_id=run.id) == done
    failed = await client.runs.create(agent.id)
    stored = book.store("ours").agents.run(agent.id, failed.id)
    assert stored is not None
    book.store("ours").agents.update_run(stored.model_copy(update={"status": AgentRunStatus.FAILED}))
    status, text = await refused(client.runs.complete(agent.id, run_id=failed.id))
    assert (status, "is failed; only a running one is completed" in text) == (409, True)


@pytest.mark.asyncio
@pytest.mark.wire(
    "kate: GET /agents/{agent_id}/runs/{run_id}/spans",
    "kate: POST /agents/{agent_id}/runs/{run_id}/spans",
)
async def test_get_and_post_spans_in_both_vocabularies(client: KateClient, agent: Agent) -> None:
    run = await client.runs.create(agent.id)
    path = f"/agents/{agent.id}/runs/{run.id}/spans"
    assert (await client.runs.spans(agent.id, run_id=run.id)).total == 0
    answer = await ask(client, "POST", path, json={"spans": [SEEDS, SDKS]})
    assert answer.status_code == 201
    assert answer.json()["uploaded"] == 2
    assert len({UUID(span_id) for span_id in answer.json()["span_ids"]}) == 2
    uploaded = await client.runs.upload_spans(agent.id, run_id=run.id, spans=[{"node_name": "last"}])
    assert uploaded.uploaded == 1
    found = (await ask(client, "GET", path)).json()
    empty = dict.fromkeys(("input_text", "output_text", "model", "latency_ms", "token_count", "error"))
    assert found == {
        "spans": [
            {**SEEDS, "error": None},
            {
                **empty,
                "node_name": "look_up",
                "span_kind": "TOOL",
                "input_text": '{"city":"Zürich"}',
                "output_text": "[1,2]",
                "latency_ms": 1.5,
                "error": "timed out",
            },
            {**empty, "node_name": "last", "span_kind": "LLM"},
        ],
        "total": 3,
    }


@pytest.mark.parametrize(
    "span",
    [
        {},
        {"name": "x", "span_kind": "JUDGE"},
        {"name": "x", "latency_ms": -1},
        {"name": "x", "latency_ms": 1e300},
        {"name": "x", "token_count": 1.5},
    ],
)
@pytest.mark.asyncio
async def test_post_spans_that_are_none(client: KateClient, agent: Agent, span: dict[str, Any]) -> None:
    run = await client.runs.create(agent.id)
    path = f"/agents/{agent.id}/runs/{run.id}/spans"
    assert (await ask(client, "POST", path, json={"spans": [{"name": "good"}, span]})).status_code == 422
    assert (await client.runs.spans(agent.id, run_id=run.id)).total == 0


@pytest.mark.asyncio
async def test_post_spans_needs_a_running_run(client: KateClient, agent: Agent) -> None:
    run = await client.runs.create(agent.id)
    await client.runs.complete(agent.id, run_id=run.id)
    status, text = await refused(client.runs.upload_spans(agent.id, run_id=run.id, spans=[SEEDS]))
    assert (status, "is completed; only a running one takes spans" in text) == (409, True)
    assert (await client.runs.spans(agent.id, run_id=run.id)).total == 0


@pytest.mark.asyncio
async def test_post_spans_at_most_60_times_a_minute(
    site: Site, client: KateClient, agent: Agent, stranger: KateClient
) -> None:
    now = 0.0
    site.state.span_uploads._clock = lambda: now
    run, other = [await client.runs.create(agent.id) for _ in range(2)]
    path = f"/agents/{agent.id}/runs/{run.id}/spans"
    spans = {"spans": [{"name": "x"}]}
    for _ in range(60):
        assert (await ask(client, "POST", path, json=spans)).status_code == 201
    now = 12.5
    answer = await ask(client, "POST", path.replace(run.id, UUID(run.id).hex), json=spans)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "48")
    # Another run, and a run of another workspace with the same id, are counted apart.
    await client.runs.upload_spans(agent.id, run_id=other.id, spans=[SEEDS])
    await stranger.runs.create("bot", run_id=run.id)
    await stranger.runs.upload_spans("bot", run_id=run.id, spans=[SEEDS])
    now = 60.0
    assert (await ask(client, "POST", path, json=spans)).status_code == 201
    assert (await client.runs.spans(agent.id, run_id=run.id)).total == 61


@pytest.mark.asyncio
@pytest.mark.wire("kate: POST /agents/{agent_id}/runs/enqueue")
async def test_post_enqueue_of_an_agent_that_nobody_declared(client: KateClient, agent: Agent) -> None:
    status, text = await refused(client.runs.enqueue(agent.id, user_input="Go"))
    assert (status, "has not declared how to run agent" in text) == (409, True)
    assert (await refused(client.runs.enqueue(NOBODY, user_input="Go")))[0] == 404
    assert await client.runs.list(agent.id) == []


@pytest.mark.asyncio
@pytest.mark.wire("kate: GET /agents/{agent_id}/eval/summary")
async def test_get_eval_summary(client: KateClient, agent: Agent, book: Book) -> None:
    summary = await client.evals.summary(agent.id)
    assert (summary.intelligence_summary, summary.overall_score) == ("No runs yet.", None)
    assert (summary.recommendations, summary.regression_detected) == ([], False)
    assert summary.updated_at == agent.updated_at
    first, second = [await client.runs.create(agent.id) for _ in range(2)]
    done = await client.runs.complete(agent.id, run_id=second.id)
    summary = await client.evals.summary(agent.id)
    assert summary.intelligence_summary == "2 runs: 1 completed, 1 running; none evaluated."
    assert (summary.overall_score, summary.updated_at) == (None, done.completed_at)
    store = book.store("ours")
    stored = store.agents.run(agent.id, first.id)
    assert stored is not None
    store.agents.update_run(stored.model_copy(update={"overall_score": 0.75}))
    summary = await client.evals.summary(agent.id)
    assert summary.intelligence_summary == "2 runs: 1 completed, 1 running; 1 evaluated."
    assert summary.overall_score == 0.75


@pytest.mark.asyncio
async def test_ids_of_another_workspace_are_not_there(
    client: KateClient, stranger: KateClient, agent: Agent
) -> None:
    run = await client.runs.create(agent.id)
    mine = await stranger.agents.create("Mine")
    for call in (
        stranger.agents.get(agent.id),
        stranger.agents.update(agent.id, name="x"),
        stranger.agents.delete(agent.id),
        stranger.runs.list(agent.id),
        stranger.runs.create(agent.id),
        stranger.runs.get(agent.id, run_id=run.id),
        stranger.runs.get(mine.id, run_id=run.id),
        stranger.runs.complete(agent.id, run_id=run.id),
        stranger.runs.complete(mine.id, run_id=run.id),
        stranger.runs.spans(mine.id, run_id=run.id),
        stranger.runs.upload_spans(mine.id, run_id=run.id, spans=[SEEDS]),
        stranger.runs.enqueue(agent.id, user_input="Go"),
        stranger.evals.summary(agent.id),
        client.runs.get(agent.id, run_id=uuid4()),
        client.runs.get(agent.id, run_id="run-1"),
    ):
        assert (await refused(call))[0] == 404
    unknown_agent = (await refused(stranger.runs.get(agent.id, run_id=run.id)))[1]
    assert f"there is no agent {agent.id!r}" in unknown_agent
    unknown_run = (await refused(stranger.runs.get(mine.id, run_id=run.id)))[1]
    assert f"agent {mine.id!r} has no run {run.id!r}" in unknown_run
    assert [known.id for known in await stranger.agents.list()] == [mine.id]
    assert await client.agents.get(agent.id) == agent


@pytest.mark.asyncio
async def test_a_run_is_one_trace_for_every_platform(client: KateClient, agent: Agent) -> None:
    run = await client.runs.create(agent.id, run_id=RUN)
    trace_id = UUID(RUN).hex
    secret = {**SEEDS, "output_text": "It is sk-ant-" + "q" * 40}
    for span in (SDKS, secret):
        await client.runs.upload_spans(agent.id, run_id=run.id, spans=[span])
    # Kayba
    (listed,) = (await ask(client, "GET", "/api/traces")).json()["traces"]
    assert listed["id"] == trace_id
    content = (await ask(client, "GET", f"/api/traces/{trace_id}")).json()["content"]
    assert "generate_strategy" in content
    assert "It is [redacted: Anthropic key]" in content
    # Kalmia
    (shown,) = (await ask(client, "GET", "/api/v1/traces")).json()["traces"]
    assert [span["name"] for span in shown["spans"]] == ["Support bot", "look_up", "generate_strategy"]
    assert (shown["input"], shown["output"]) == ("Create a strategy", "It is [redacted: Anthropic key]")
    # Kaizen CT
    score = {"score": 0.5, "scored_by": "me"}
    scored = await ask(client, "POST", f"/api/v1/traces/{RUN}/score", json=score)
    assert (scored.status_code, scored.json()["id"]) == (200, RUN)
    assert (await client.runs.spans(agent.id, run_id=run.id)).total == 2
    # Its trace stays when the agent goes.
    await client.agents.delete(agent.id)
    assert (await ask(client, "GET", f"/api/traces/{trace_id}")).status_code == 200


@pytest.mark.parametrize("trace_id", [RUN, UUID(RUN).hex])
@pytest.mark.asyncio
async def test_a_trace_sent_to_kalmia_is_shown_as_the_run_with_its_id(
    client: KateClient, agent: Agent, trace_id: str
) -> None:
    attributes = {"span_attributes": {"type": "llm"}, "metadata": {"model": "claude-haiku-4-5"}}
    metrics = {"start": 1.0, "end": 3.0, "prompt_tokens": 5, "completion_tokens": 2}
    part = {"id": trace_id, "name": "anthropic chat", "input": "Hi", "output": "Ho", "metrics": metrics}
    body = {"id": trace_id, "output": "Ho", "spans": [{**part, **attributes}]}
    await ask(client, "POST", "/api/v1/traces/ingest", json=body)
    run = await client.runs.create(agent.id, run_id=RUN)
    (span,) = (await client.runs.spans(agent.id, run_id=run.id)).spans
    assert (span.node_name, span.input_text, span.output_text) == ("anthropic chat", "Hi", "Ho")
    assert (span.model, span.latency_ms, span.token_count) == ("claude-haiku-4-5", 2000.0, 7)
    await client.runs.upload_spans(agent.id, run_id=run.id, spans=[SDKS])
    (shown,) = (await ask(client, "GET", "/api/v1/traces")).json()["traces"]
    assert shown["spans"][0] == body["spans"][0]
    assert shown["spans"][1]["name"] == "look_up"
    assert shown["spans"][1]["span_parents"] == [trace_id]
    assert shown["output"] == "Ho"
