"""The three sources against servers in the shapes that they document."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.models import Message, ScoreSource, SpanKind, Trace
from pytest_kaizen.pipeline import integrations as sources
from pytest_kaizen.pipeline.integrations import Checked, Project, Source, understood
from pytest_kaizen.pipeline.integrations.hosted import Braintrust, Langsmith
from pytest_kaizen.pipeline.integrations.mlflow import Mlflow
from tests.pipeline.integrations.conftest import connection
from tests.pipeline.integrations.place import Said
from tests.pipeline.integrations.places import (
    PLACES,
    BraintrustPlace,
    LangsmithPlace,
    MlflowPlace,
    otlp,
    uuid,
)

OPEN: dict[str, Callable[[sources.Connection], Source]] = {
    "mlflow": Mlflow,
    "langsmith": Langsmith,
    "braintrust": Braintrust,
}
NAMES = list(PLACES)


def all_of(source: Source, since: datetime | None = None, size: int = 2) -> list[Trace]:
    project = source.project("support")
    assert project is not None
    found: list[Trace] = []
    cursor = None
    while True:
        page = source.page(project, since=since, cursor=cursor, size=size)
        assert page.left_out == []
        found += page.traces
        cursor = page.cursor
        if cursor is None:
            return found


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


@pytest.mark.parametrize("name", NAMES)
def test_projects(name: str) -> None:
    with PLACES[name]() as place:
        source = OPEN[name](connection(place.url))
        (project,) = source.projects()
        assert project.name == "support"
        assert source.project("support") == project
        assert source.project("nobody") is None
        source.close()


@pytest.mark.parametrize("name", NAMES)
def test_pages_follow_one_another_the_newest_first(name: str) -> None:
    with PLACES[name]() as place:
        source = OPEN[name](connection(place.url))
        traces = all_of(source)
        assert [trace.created_at.minute for trace in traces] == [3, 2, 1]
        assert len({trace.id for trace in traces}) == 3
        assert all_of(source, size=50) == traces
        recent = all_of(source, datetime(2026, 11, 22, 12, 2, tzinfo=UTC))
        assert [trace.created_at.minute for trace in recent] == [3, 2]
        source.close()


def test_a_trace_of_mlflow() -> None:
    with MlflowPlace(1) as place:
        assessments: list[tuple[str, dict[str, Any], str]] = [
            ("HUMAN", {"feedback": {"value": True}, "rationale": "yes, it is"}, "right"),
            ("LLM_JUDGE", {"feedback": {"value": "no"}}, "polite"),
            ("CODE", {"feedback": {"value": 0.25}}, "short"),
            ("CODE", {"feedback": {"value": 7}}, "words"),
            ("CODE", {"feedback": {"error": {"error_code": "X", "error_message": "broke"}}}, "broken"),
            ("HUMAN", {"feedback": {"value": 0.0}, "valid": False}, "old"),
            ("HUMAN", {"expectation": {"value": "hello"}}, "expected_response"),
        ]
        info = place.traces[f"tr-{1:032x}"]["trace_info"]
        info["assessments"] = [
            {"assessment_name": name, "source": {"source_type": kind, "source_id": "x"}, **rest}
            for kind, rest, name in assessments
        ]
        (trace,) = all_of(Mlflow(connection(place.url)))
    assert (trace.id, trace.name, trace.input, trace.output) == (f"{1:032x}", "agent", "q1", "hi")
    assert (trace.reference, trace.error) == ("hello", None)
    assert trace.metadata == {
        "source": "mlflow",
        "project": "support",
        "mlflow": {
            "trace_id": f"tr-{1:032x}",
            "tags": {"team": "support"},
            "metadata": {},
            "assessments": {"words": 7, "expected_response": "hello"},
        },
    }
    assert [(score.name, score.value, score.source, score.reason, score.error) for score in trace.scores] == [
        ("right", 1.0, ScoreSource.HUMAN, "yes, it is", None),
        ("polite", 0.0, ScoreSource.JUDGE, None, None),
        ("short", 0.25, ScoreSource.SDK, None, None),
        ("broken", None, ScoreSource.SDK, None, "broke"),
    ]
    agent, tool, call = trace.spans
    assert (agent.id, agent.parent_id, agent.kind) == (f"{101:016x}", None, SpanKind.AGENT)
    assert (tool.parent_id, tool.kind, said(tool.output)) == (agent.id, SpanKind.TOOL, [("tool", '["a"]')])
    assert (call.kind, call.model, call.cost_usd, call.latency_ms) == (
        SpanKind.LLM,
        "gpt-4o-mini",
        0.01,
        0.5,
    )
    assert (call.usage.input_tokens, call.usage.output_tokens) == (10, 5)
    assert said(call.input) == [("system", "be brief"), ("user", "q1")]
    assert said(call.output) == [("assistant", "hi")]
    assert call.output[0].finish_reason == "stop"


def test_a_failed_span_of_mlflow_and_one_of_other_conventions() -> None:
    with MlflowPlace(1) as place:
        root, _, call = place.traces[f"tr-{1:032x}"]["spans"]
        root["status"] = {"code": "STATUS_CODE_ERROR", "message": "ValueError: bad\nmore"}
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "claude-x",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.input_tokens": 3,
            "mlflow.spanType": "UNKNOWN",
        }
        call["attributes"] = [{"key": key, "value": otlp(value)} for key, value in attributes.items()]
        place.traces[f"tr-{1:032x}"]["trace_info"]["state"] = "ERROR"
        (trace,) = all_of(Mlflow(connection(place.url)))
    assert trace.error == trace.spans[0].error == "ValueError: bad more"
    read = trace.spans[2]
    assert (read.kind, read.model, read.provider, read.usage.input_tokens) == (
        SpanKind.LLM,
        "claude-x",
        "anthropic",
        3,
    )


@pytest.mark.parametrize("old", [False, True])
def test_traces_that_mlflow_keeps_as_files(old: bool) -> None:
    with MlflowPlace(2) as place:
        expected = all_of(Mlflow(connection(place.url)))
        for trace_id, trace in place.traces.items():
            file = [
                {
                    **span,
                    "attributes": {
                        pair["key"]: json.dumps(_plain(pair["value"])) for pair in span["attributes"]
                    },
                }
                for span in trace["spans"]
            ]
            place.files[trace_id] = {"spans": file}
            trace["spans"] = []
            if not old:
                del trace["trace_info"]["tags"]["mlflow.trace.spansLocation"]
        if old:
            # A server of before the spans were in the database takes the path for a trace's id.
            place.asked.clear()
            answer = place.answer
            place.answer = lambda asked: (  # type: ignore[method-assign]
                Said(404, {"message": "no trace"}) if "batchGet" in asked.path else answer(asked)
            )
        assert all_of(Mlflow(connection(place.url))) == expected
        del place.files[f"tr-{1:032x}"]
        source = Mlflow(connection(place.url))
        page = source.page(Project("1", "support"), since=None, cursor=None, size=5)
        assert [trace.id for trace in page.traces] == [f"{2:032x}"]
        (problem,) = page.left_out
        assert problem.startswith(
            f"tr-{1:032x}: mlflow: GET {place.url}/ajax-api/2.0/mlflow/get-trace-artifact"
        )


def _plain(value: dict[str, Any]) -> Any:
    ((kind, given),) = value.items()
    if kind == "kvlist_value":
        return {pair["key"]: _plain(pair["value"]) for pair in given["values"]}
    return [_plain(item) for item in given["values"]] if kind == "array_value" else given


@pytest.mark.parametrize("newer", [True, False])
def test_a_trace_of_langsmith(newer: bool) -> None:
    with LangsmithPlace(1, newer=newer) as place:
        place.most = 1
        (trace,) = all_of(Langsmith(connection(place.url)))
        paths = {path for path in place.paths() if "runs" in path}
        assert paths == ({"/api/v2/runs/query"} if newer else {"/api/v2/runs/query", "/api/v1/runs/query"})
    assert (trace.id, trace.name, trace.input, trace.output) == (uuid(1), "agent", "q1", "hi")
    assert trace.metadata == {"source": "langsmith", "project": "support", "tags": ["prod"], "thread": "t1"}
    assert [(score.name, score.value) for score in trace.scores] == [("polite", 0.5)]
    root, call = trace.spans
    assert (root.kind, root.parent_id, root.cost_usd, root.usage.input_tokens) == (
        SpanKind.CHAIN,
        None,
        None,
        None,
    )
    assert (call.kind, call.parent_id, call.provider, call.model) == (
        SpanKind.LLM,
        root.id,
        "openai",
        "gpt-4o-mini",
    )
    assert (call.cost_usd, call.latency_ms) == (0.25, 500.0)
    assert call.usage.model_dump(exclude_none=True) == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": 4,
    }
    assert said(call.input) == [("user", "q1")]
    assert said(call.output) == [("assistant", "hi")]
    assert call.output[0].parts[1].model_dump(exclude_none=True) == {
        "type": "tool_call",
        "id": "call_1",
        "name": "search",
        "arguments": {"q": 1},
    }
    assert call.metadata == {"request": {"temperature": 0}}


def test_a_trace_of_braintrust() -> None:
    with BraintrustPlace(1) as place:
        # The log has every version of a row; the newest counts.
        stale = {
            **place.events[0][0],
            "_xact_id": "0999",
            "output": "stale",
            "created": "2020-01-01T00:00:00Z",
        }
        place.events[0].append(stale)
        (trace,) = all_of(Braintrust(connection(place.url)))
    assert (trace.id, trace.name, trace.input, trace.output) == ("root-1", "agent", "q1", "hi")
    assert (trace.reference, trace.metadata["correlationId"]) == ("hello", "run-1")
    assert (trace.metadata["source"], trace.metadata["project"]) == ("braintrust", "support")
    assert [(score.name, score.value) for score in trace.scores] == [("polite", 0.5)]
    root, call = trace.spans
    assert (root.id, root.parent_id, root.kind) == ("root-1", None, SpanKind.CHAIN)
    assert (call.id, call.parent_id, call.kind, call.model) == (
        "call-1",
        "root-1",
        SpanKind.LLM,
        "gpt-4o-mini",
    )
    assert (call.cost_usd, call.usage.input_tokens) == (0.01, 10)
    assert said(call.input) == [("user", "q1")]


def test_traces_of_braintrust_by_their_ids() -> None:
    with BraintrustPlace(3) as place:
        source = Braintrust(connection(place.url))
        project = source.project(uuid(9))
        assert project == Project(uuid(9), "support")
        found = source.traces(project, ["root-1", "run-3", "nobody", "x'; DROP TABLE y"])
        assert {trace.id for trace in found} == {"root-1", "root-3"}
        assert "DROP" not in place.asked[-1].body["query"]
        assert source.traces(project, ["x' OR 'a' = 'a"]) == []
        source.close()


def test_what_a_look_finds() -> None:
    with MlflowPlace() as mlflow, LangsmithPlace() as langsmith, BraintrustPlace() as braintrust:
        assert Mlflow(connection(mlflow.url)).check() == Checked("3.17.2", 1)
        assert Langsmith(connection(langsmith.url)).check() == Checked()
        assert Braintrust(connection(braintrust.url)).check() == Checked()
        for other in (b"<html>", b"3.17.2\n" * 100):
            mlflow.version = other
            assert Mlflow(connection(mlflow.url)).check() == Checked(None, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", [[], {}, {"objects": 3}, {"traces": [3]}, "text", 7])
def test_answers_of_another_shape(name: str, body: Any) -> None:
    with PLACES[name]() as place:
        source = OPEN[name](connection(place.url))
        for ask in (
            source.projects,
            lambda: source.project("support"),
            lambda: source.page(Project(uuid(9), "support"), since=None, cursor=None, size=5),
        ):
            place.instead = [Said(200, body)] * 5
            try:
                with understood(name):
                    found: Any = ask()
            except PlatformError as exc:
                assert str(exc).startswith(name)  # noqa: PT017 - what does not fail finds nothing
            else:
                assert found in (None, [], ([], None, []))
        source.close()


@pytest.mark.parametrize("name", NAMES)
def test_one_trace_that_cannot_be_read_costs_no_other(name: str) -> None:
    with PLACES[name]() as place:
        if isinstance(place, MlflowPlace):
            place.traces[f"tr-{2:032x}"]["spans"][0]["span_id"] = "!"
        elif isinstance(place, LangsmithPlace):
            place.runs[3]["start_time"] = "2026-11-22T12:02:xx"
        elif isinstance(place, BraintrustPlace):
            place.events[1][1]["scores"] = {"polite": "very"}
        source = OPEN[name](connection(place.url))
        project = source.project("support")
        assert project is not None
        page = source.page(project, since=None, cursor=None, size=5)
        assert [trace.created_at.minute for trace in page.traces] == [3, 1]
        assert len(page.left_out) == 1
        source.close()


def test_mlflow_without_a_start() -> None:
    with MlflowPlace(1) as place:
        del place.traces[f"tr-{1:032x}"]["trace_info"]["request_time"]
        infos = [trace["trace_info"] for trace in place.traces.values()]
        place.instead = [Said(200, {"traces": infos})]
        source = Mlflow(connection(place.url))
        page = source.page(Project("1", "support"), since=None, cursor=None, size=5)
        source.close()
    assert page.traces[0].created_at == page.traces[0].spans[0].started_at
