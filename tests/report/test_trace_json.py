from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import (
    Attempt,
    Case,
    GateResult,
    Interval,
    Message,
    Outcome,
    Part,
    Run,
    Sample,
    Scope,
    Score,
    ScoreSource,
    Span,
    SpanKind,
    TaskSummary,
    Trace,
    Usage,
)
from pytest_kaizen.report.as_json import run_json, trace_json

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
TRACE = Trace(
    id="a1b2",
    run_id="run-1",
    task="sum",
    case_id="test_a.py::test_a[é]",
    sample=2,
    name="test_a[Où est-ce?]",
    created_at=NOW,
    input="où?",
    output={"answer": 3},
    reference="là",
    metadata={"worker": "gw0"},
    scores=[
        Score(name="polite", value=0.5, source=ScoreSource.CHECK, reason="half"),
        Score(name="summary", error="the judge timed out", source=ScoreSource.JUDGE, rubric="summary"),
    ],
    spans=[
        Span(
            id="s1",
            name="chat",
            provider="anthropic",
            model="claude-haiku-4-5",
            input=[Message(role="user", parts=[Part(type="text", content="où?")])],
            output=[Message(role="assistant", parts=[], finish_reason="stop")],
            usage=Usage(input_tokens=3),
            started_at=NOW,
            latency_ms=12.5,
            attempts=[Attempt(started_at=NOW, latency_ms=12.5, status=200)],
        )
    ],
)


def test_a_trace() -> None:
    found = trace_json(TRACE)
    size = found.pop("size")
    assert found == {
        "id": "a1b2",
        "filename": "test-a-o-est-ce.json",
        "fileType": "json",
        "uploadedAt": "2026-03-01T12:30:00Z",
        "run_id": "run-1",
        "task": "sum",
        "case_id": "test_a.py::test_a[é]",
        "sample": 2,
        "name": "test_a[Où est-ce?]",
        "created_at": "2026-03-01T12:30:00Z",
        "input": "où?",
        "output": {"answer": 3},
        "reference": "là",
        "error": None,
        "metadata": {"worker": "gw0"},
        "scores": [
            {
                "name": "polite",
                "value": 0.5,
                "source": "check",
                "reason": "half",
                "error": None,
                "rubric": None,
            },
            {
                "name": "summary",
                "value": None,
                "source": "judge",
                "reason": None,
                "error": "the judge timed out",
                "rubric": "summary",
            },
        ],
        "spans": [
            {
                "id": "s1",
                "parent_id": None,
                "name": "chat",
                "kind": "LLM",
                "provider": "anthropic",
                "model": "claude-haiku-4-5",
                "input": [
                    {"role": "user", "parts": [{"type": "text", "content": "où?"}], "finish_reason": None}
                ],
                "output": [{"role": "assistant", "parts": [], "finish_reason": "stop"}],
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": None,
                    "cache_read_tokens": None,
                    "cache_write_tokens": None,
                },
                "cost_usd": None,
                "started_at": "2026-03-01T12:30:00Z",
                "latency_ms": 12.5,
                "attempts": [
                    {"started_at": "2026-03-01T12:30:00Z", "latency_ms": 12.5, "status": 200, "error": None}
                ],
                "replayed": False,
                "error": None,
                "metadata": {},
            }
        ],
    }
    for key in ("id", "filename", "fileType", "uploadedAt"):
        del found[key]
    assert size == len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("name", "filename"),
    [("Sum up: 3/4", "sum-up-3-4.json"), ("日本語", "a1b2.json"), ("a" * 79 + "-b" * 9, "a" * 79 + ".json")],
)
def test_file_names(name: str, filename: str) -> None:
    assert trace_json(TRACE.model_copy(update={"name": name}))["filename"] == filename


def test_what_json_has_no_word_for_is_null() -> None:
    span = Span(id="s", name="tool", kind=SpanKind.TOOL, started_at=NOW, latency_ms=math.inf)
    found = trace_json(TRACE.model_copy(update={"input": math.nan, "spans": [span]}))
    assert (found["input"], found["spans"][0]["latency_ms"]) == (None, None)
    json.dumps(found, allow_nan=False)


def test_a_run() -> None:
    gate = GateResult(
        scope=Scope.CASE, task="sum", name="polite", bar=">= 0.8", outcome=Outcome.FAIL, sentence="too rude"
    )
    summary = TaskSummary(
        task="sum", cases=1, collected=1, samples=1, score=0.5, score_interval=Interval(0.25, 0.75)
    )
    run = Run(id="run-1", created_at=NOW, tasks=[summary])
    case = Case(
        id="test_a",
        run_id="run-1",
        task="sum",
        outcome="failed",
        gates=[gate],
        samples=[Sample(trace=TRACE, passed=False, metrics={"score": 0.5}, prompts={"sum": (2, "ab")})],
    )
    assert "cases" not in run_json(run)
    found = run_json(run, [case])
    assert (found["id"], found["status"], found["exit_status"]) == ("run-1", "running", None)
    assert found["tasks"][0]["score_interval"] == [0.25, 0.75]
    (shown,) = found["cases"]
    assert shown["gates"][0]["outcome"] == "fail"
    del shown["gates"]
    assert shown == {
        "id": "test_a",
        "task": "sum",
        "outcome": "failed",
        "complete": True,
        "samples": [
            {
                "trace_id": "a1b2",
                "sample": 2,
                "passed": False,
                "error": None,
                "metrics": {"score": 0.5},
                "missing": {},
                "prompts": {"sum": [2, "ab"]},
                "rubrics": {},
            }
        ],
    }
