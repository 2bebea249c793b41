"""Both Kalmia clients against a server made from their wire models, and both against golden JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pytest_kaizen import KalmiaClient
from pytest_kaizen.errors import KalmiaError
from pytest_kaizen.platforms import kalmia as wire
from pytest_kaizen.platforms.kalmia.client import AsyncKalmiaClient
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace

if TYPE_CHECKING:
    from tests.contract.conftest import Golden

URL = "http://kalmia.test"
TRACE = "run-abc-123"

#: By golden file: the arguments, and the models that the server reads and answers with.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[BaseModel] | None, type[BaseModel]]] = {
    "list_traces": (("bot", "anthropic"), {"limit": 50, "cursor": "c-1"}, None, wire.TracePage),
    "search_traces": (("refund", "bot", 10), {}, wire.SearchRequest, wire.SearchResults),
    "submit_feedback": (("run/abc 123", "down", "rude"), {}, wire.FeedbackRequest, wire.Acknowledged),
    "create_experiment": (
        ("RAG vs no-RAG", ["run-abc-123", "run-def-456"]),
        {},
        wire.ExperimentCreate,
        wire.Experiment,
    ),
    "list_experiments": ((), {}, None, wire.ExperimentList),
    "get_experiment": (("exp-uuid-789",), {}, None, wire.ExperimentDetail),
    "analyze_experiment": (
        ("exp-uuid-789", "Where does it fail?", "claude-haiku-4-5"),
        {},
        wire.AnalysisRequest,
        wire.Analysis,
    ),
    "list_braintrust_traces": (("bot",), {"limit": 20}, None, wire.TracePage),
    "get_braintrust_trace": ((TRACE,), {}, None, KalmiaTrace),
    "list_behaviors": ((), {}, None, wire.BehaviorList),
    "create_behavior": (
        ("apologises", "Says sorry without a reason."),
        {},
        wire.BehaviorCreate,
        wire.Behavior,
    ),
    "detect_behaviors": (([TRACE], ["apologises"], 0.6), {}, wire.DetectRequest, wire.Detected),
    "list_annotations": ((TRACE, "apologises"), {}, None, wire.AnnotationList),
    "create_annotation": (
        (TRACE, "apologises", 0.75, "twice"),
        {},
        wire.AnnotationCreate,
        wire.Annotation,
    ),
}


@pytest.fixture
def kalmia(golden: Callable[[str], Golden]) -> Golden:
    return golden("kalmia")


def assert_result(name: str, result: Any, answer: Any) -> None:
    if name == "submit_feedback":
        assert result is None
    elif isinstance(result, list):
        (items,) = answer.values()
        assert [item.to_json() for item in result] == items
    else:
        assert result.to_json() == answer


def test_every_call_has_its_golden_file(kalmia: Golden) -> None:
    assert kalmia.names == sorted([*CALLS, "ingest"])
    public = {name for name in dir(KalmiaClient) if not name.startswith("_")}
    calls = {name for name in public if callable(getattr(KalmiaClient, name))}
    assert calls == {*CALLS, "ingest", "close"}


@pytest.mark.parametrize("name", CALLS)
def test_sync(kalmia: Golden, name: str) -> None:
    args, kwargs, reads, answers = CALLS[name]
    fake = kalmia.fake(name, reads, answers)
    with KalmiaClient("kal_live_key", URL, transport=fake.transport) as client:
        result = getattr(client, name)(*args, **kwargs)
    fake.assert_contract()
    assert_result(name, result, fake.exchange.answer)
    assert fake.headers[0]["authorization"] == "Bearer kal_live_key"


@pytest.mark.asyncio
async def test_ingest(kalmia: Golden) -> None:
    fake = kalmia.fake("ingest", wire.IngestBatch, wire.IngestResult)
    traces = [KalmiaTrace.model_validate(trace) for trace in fake.exchange.request["body"]]
    async with AsyncKalmiaClient("kal_live_key", URL, transport=fake.transport) as client:
        result = await client.ingest(traces)
    fake.assert_contract()
    assert result.to_json() == fake.exchange.answer


def test_a_single_trace_is_read_as_well_as_an_array(kalmia: Golden) -> None:
    (trace, _) = kalmia.fake("ingest").exchange.request["body"]
    assert wire.IngestBatch.model_validate(trace).to_json() == [trace]
    assert wire.IngestBatch.model_validate_json(json.dumps(trace)).to_json() == [trace]


def test_what_is_absent_stays_absent_and_null_stays_null() -> None:
    part = {"id": "t", "output": None, "spans": [{"id": "t", "metrics": {"start": 1.5}, "later": [1]}]}
    trace = KalmiaTrace.model_validate(part)
    assert trace.to_json() == part
    assert json.loads(wire.IngestBatch([trace]).to_bytes()) == [part]


@pytest.mark.parametrize(
    "replay",
    ["r-1", None, {}, {"provider": "rrweb"}, {"provider": "rrweb", "session_id": 3}, {"session_id": ""}],
)
def test_a_malformed_replay_is_dropped_and_the_trace_kept(replay: object) -> None:
    trace = KalmiaTrace.model_validate(
        {"id": "t", "metadata": {"project": "bot", "replay": replay}, "spans": []}
    )
    assert trace.to_json() == {"id": "t", "metadata": {"project": "bot"}, "spans": []}


@pytest.mark.parametrize(
    "model", [wire.TracePage, wire.ExperimentList, wire.BehaviorList, wire.AnnotationList]
)
def test_bare_arrays_are_read_too(model: type[wire.TracePage]) -> None:
    (items, *_) = dict(model.model_validate([])).values()
    assert items == []


def test_bodies_of_the_server(kalmia: Golden) -> None:
    kalmia.assert_bodies(wire)


def test_wrong_arguments_are_not_sent(kalmia: Golden) -> None:
    fake = kalmia.fake("submit_feedback")
    with KalmiaClient("kal_live_key", URL, transport=fake.transport) as client:
        with pytest.raises(KalmiaError, match="give rating, comment or both"):
            client.submit_feedback("t")
        with pytest.raises(KalmiaError, match="confidence: Input should be less than or equal to 1"):
            client.create_annotation("t", "apologises", 75)
        with pytest.raises(KalmiaError, match="query: String should have at least 1 character"):
            client.search_traces("")
    assert fake.seen == []
