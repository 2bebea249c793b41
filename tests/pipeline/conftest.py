from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.models import (
    Case,
    Message,
    Part,
    Sample,
    Score,
    ScoreSource,
    Span,
    SpanKind,
    Trace,
    Usage,
    new_span_id,
    new_trace_id,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Make:
    """Things that flow through the pipeline."""

    def message(self, role: str, text: str) -> Message:
        return Message(role=role, parts=[Part(type="text", content=text)])

    def span(self, kind: SpanKind = SpanKind.LLM, **fields: Any) -> Span:
        defaults = {
            "id": new_span_id(),
            "name": "chat",
            "kind": kind,
            "model": "m-1",
            "started_at": NOW,
            "latency_ms": 10.0,
            "cost_usd": 0.5,
            "usage": Usage(input_tokens=4, output_tokens=2),
        }
        return Span(**{**defaults, **fields})

    def score(self, name: str, value: float | None = None, **fields: Any) -> Score:
        return Score(**{"name": name, "value": value, "source": ScoreSource.CHECK, **fields})

    def trace(self, *spans: Span, scores: list[Score] | None = None, **fields: Any) -> Trace:
        made = {"id": new_trace_id(), "name": "t", "created_at": NOW, "spans": list(spans)}
        return Trace(**{**made, "scores": scores or [], **fields})

    def sample(self, *spans: Span, metrics: dict[str, float] | None = None, **fields: Any) -> Sample:
        return Sample(trace=self.trace(*spans), metrics=metrics or {}, **fields)

    def case(self, case_id: str, *samples: Sample, **fields: Any) -> Case:
        return Case(id=case_id, run_id="r", task="greet", samples=list(samples), **fields)


@pytest.fixture
def make() -> Make:
    return Make()
