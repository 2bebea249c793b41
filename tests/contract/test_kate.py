"""The Kate client against a server made from its wire models, and both against golden JSON."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
import trio
from pydantic import BaseModel

from pytest_kaizen import KateClient
from pytest_kaizen.errors import KateError
from pytest_kaizen.platforms import kate as wire

if TYPE_CHECKING:
    from tests.contract.conftest import Golden

AGENT = "support-bot_1"
RUN = "0b9c3f6e-0000-4000-8000-000000000001"
URL = "http://localhost:9000"
UPLOAD = [{"node_name": "process_request", "input_text": "Hello", "output_text": "Hi", "latency_ms": 1500}]

#: By golden file: the arguments, and the models that the server reads and answers with.
CALLS: dict[str, tuple[dict[str, Any], type[BaseModel] | None, type[BaseModel] | None]] = {
    "agents.list": ({}, None, wire.AgentList),
    "agents.get": ({"agent_id": AGENT}, None, wire.Agent),
    "agents.create": (
        {"name": "Support bot", "domain": "support", "objective": "Answer tickets."},
        wire.AgentCreate,
        wire.Agent,
    ),
    "agents.update": ({"agent_id": AGENT, "objective": "Answer tickets."}, wire.AgentUpdate, wire.Agent),
    "agents.delete": ({"agent_id": AGENT}, None, wire.Empty),
    "runs.list": ({"agent_id": AGENT}, None, wire.RunList),
    "runs.create": ({"agent_id": AGENT, "trigger": "test", "run_id": RUN}, wire.RunCreate, wire.Run),
    "runs.get": ({"agent_id": AGENT, "run_id": RUN}, None, wire.Run),
    "runs.complete": ({"agent_id": AGENT, "run_id": RUN}, None, wire.Run),
    "runs.spans": ({"agent_id": AGENT, "run_id": RUN}, None, wire.SpanList),
    "runs.upload_spans": (
        {"agent_id": AGENT, "run_id": RUN, "spans": UPLOAD},
        wire.SpanUpload,
        wire.SpansUploaded,
    ),
    "runs.enqueue": (
        {
            "agent_id": AGENT,
            "trigger": "manual",
            "user_input": "Generate a content strategy for AI in healthcare",
        },
        wire.Enqueue,
        wire.Enqueued,
    ),
    "evals.summary": ({"agent_id": AGENT}, None, wire.EvalSummary),
}


@pytest.fixture
def kate(golden: Callable[[str], Golden]) -> Golden:
    return golden("kate")


def test_every_call_has_its_golden_file(kate: Golden) -> None:
    assert kate.names == sorted(CALLS)
    client = KateClient("kate-key")
    for group in ("runs", "agents", "evals"):
        names = {f"{group}.{name}" for name in dir(getattr(client, group)) if not name.startswith("_")}
        assert names == {name for name in CALLS if name.startswith(group)}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.asyncio
async def test_calls(kate: Golden, name: str) -> None:
    kwargs, reads, answers = CALLS[name]
    fake = kate.fake(name, reads, answers)
    async with KateClient("kate-key", URL, transport=fake.transport) as client:
        result = await attrgetter(name)(client)(**kwargs)
    fake.assert_contract()
    assert fake.headers[0]["x-api-key"] == "kate-key"
    answer = fake.exchange.answer
    if name == "agents.delete":
        assert result is None
    elif isinstance(result, list):
        assert [item.to_json() for item in result] == (answer["runs"] if name == "runs.list" else answer)
    else:
        assert result.to_json() == answer


def test_the_agent_of_the_client_is_the_default(kate: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = kate.fake("runs.list", None, wire.RunList)

    async def fetch() -> None:
        monkeypatch.setenv("KATE_AGENT_ID", AGENT)
        client = KateClient("kate-key", URL, transport=fake.transport)
        assert [run.state for run in await client.runs.list()] == ["succeeded", "running"]
        monkeypatch.delenv("KATE_AGENT_ID")
        with pytest.raises(KateError, match="no agent: give agent_id, or set KATE_AGENT_ID"):
            await KateClient("kate-key", URL, transport=fake.transport).runs.list()

    trio.run(fetch)
    fake.assert_contract()


@pytest.mark.asyncio
async def test_wrong_arguments_are_not_sent(kate: Golden) -> None:
    fake = kate.fake("runs.create")
    client = KateClient("kate-key", URL, agent_id=AGENT, transport=fake.transport)
    with pytest.raises(KateError, match="trigger: Input should be 'manual', 'automatic' or 'test'"):
        await client.runs.create(trigger="nightly")  # type: ignore[arg-type]
    with pytest.raises(KateError, match="run_id: Input should be a valid UUID"):
        await client.runs.create(run_id="run-1")
    with pytest.raises(KateError, match=r"spans\.0\.span_kind: Input should be 'LLM', 'TOOL'"):
        await client.runs.upload_spans(run_id=RUN, spans=[{"node_name": "x", "span_kind": "SONG"}])
    assert fake.seen == []


def test_bodies_of_the_server(kate: Golden) -> None:
    kate.assert_bodies(wire)


def test_both_vocabularies_of_spans_are_read(kate: Golden) -> None:
    span = kate.bodies["NewSpan"]
    renamed = {"node_name": "name", "input_text": "input", "output_text": "output"}
    theirs = {renamed.get(key, key): value for key, value in span.items()}
    assert wire.NewSpan.model_validate(theirs).to_json() == span
    kept = wire.NewSpan.model_validate({"name": "search", "input": {"args": ["q"]}, "output": 3})
    assert (kept.input_text, kept.output_text) == ('{"args":["q"]}', "3")
