"""Traces as OTLP/JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.capture import otel as names
from pytest_kaizen.capture.otel import otlp_json
from pytest_kaizen.models import Message, Part, Score, ScoreSource, Span, SpanKind, Trace, Usage

START = datetime(2026, 3, 30, 10, 0, 0, 1, tzinfo=UTC)
NANOSECONDS = 1_774_864_800_000_001_000


def message(role: str, text: str, finish: str | None = None) -> Message:
    return Message(role=role, parts=[Part(type="text", content=text)], finish_reason=finish)


def values(span: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def exported(trace: Trace) -> list[dict[str, Any]]:
    body = json.loads(json.dumps(otlp_json([trace]), allow_nan=False))
    (resource,) = body["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert scope["schemaUrl"] == names.SCHEMA_URL
    spans: list[dict[str, Any]] = scope["spans"]
    return spans


def test_a_trace() -> None:
    call = Span(
        id="b" * 16,
        parent_id="a" * 16,
        name="chat m",
        provider="anthropic",
        model="m",
        input=[message("system", "Be short."), message("user", "hi")],
        output=[message("assistant", "yo", "stop")],
        usage=Usage(input_tokens=7, output_tokens=2),
        cost_usd=0.5,
        started_at=START,
        latency_ms=2.5,
        metadata={"response_id": "r1"},
    )
    step = Span(id="a" * 16, name="step", kind=SpanKind.TOOL, started_at=START, error="ValueError: no")
    scores = [
        Score(name="kind", value=0.5, source=ScoreSource.JUDGE, reason="curt"),
        Score(name="broken", error="no answer", source=ScoreSource.JUDGE),
    ]
    trace = Trace(
        id="c" * 32, task="t", name="case", created_at=START, spans=[step, call], scores=scores, error="E: x"
    )
    root, first, second = exported(trace)
    assert {span["traceId"] for span in (root, first, second)} == {"c" * 32}
    assert "parentSpanId" not in root
    assert [first["parentSpanId"], second["parentSpanId"]] == [root["spanId"], "a" * 16]
    assert (root["name"], root["kind"], root["status"]) == ("case", 1, {"code": 2, "message": "E: x"})
    assert values(root) == {"kaizen.trace_id": "c" * 32, "kaizen.task": "t", "kaizen.sample": "0"}
    assert [values(event) for event in root["events"]] == [
        {
            "gen_ai.evaluation.name": "kind",
            "gen_ai.evaluation.score.value": 0.5,
            "gen_ai.evaluation.explanation": "curt",
        },
        {"gen_ai.evaluation.name": "broken", "error.type": "no answer"},
    ]
    assert (first["kind"], first["status"]["message"]) == (1, "ValueError: no")
    assert (second["kind"], second["status"]) == (3, {})
    assert (second["startTimeUnixNano"], second["endTimeUnixNano"]) == (
        str(NANOSECONDS),
        str(NANOSECONDS + 2_500_000),
    )
    assert root["endTimeUnixNano"] == second["endTimeUnixNano"]
    facts = values(second)
    assert json.loads(facts.pop("gen_ai.system_instructions")) == [{"type": "text", "content": "Be short."}]
    assert json.loads(facts.pop("gen_ai.input.messages"))[0]["role"] == "user"
    assert json.loads(facts.pop("gen_ai.output.messages"))[0]["finish_reason"] == "stop"
    assert facts.pop("gen_ai.response.finish_reasons")["values"] == [{"stringValue": "stop"}]
    assert facts == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "m",
        "gen_ai.response.id": "r1",
        "kaizen.span.kind": "LLM",
        "kaizen.cost_usd": 0.5,
        "gen_ai.usage.input_tokens": "7",
        "gen_ai.usage.output_tokens": "2",
    }


def test_ids_that_are_none_become_some() -> None:
    trace = Trace(
        id="not hex",
        name="case",
        created_at=START.replace(tzinfo=None),
        spans=[Span(id="0" * 16, name="s", started_at=START)],
    )
    root, span = exported(trace)
    assert (len(root["traceId"]), len(root["spanId"]), len(span["spanId"])) == (32, 16, 16)
    assert root["traceId"] == span["traceId"]
    assert span["spanId"] != "0" * 16
    assert span["parentSpanId"] == root["spanId"]
    assert root["startTimeUnixNano"] == str(NANOSECONDS)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_figures_that_are_no_numbers(odd: float) -> None:
    call = Span(id="b" * 16, name="chat m", started_at=START, latency_ms=odd, cost_usd=odd)
    _, span = exported(Trace(id="c" * 32, name="case", created_at=START, spans=[call]))
    assert span["startTimeUnixNano"] == span["endTimeUnixNano"] == str(NANOSECONDS)
    assert "kaizen.cost_usd" not in values(span)


def test_nothing() -> None:
    assert otlp_json([])["resourceSpans"][0]["scopeSpans"][0]["spans"] == []
