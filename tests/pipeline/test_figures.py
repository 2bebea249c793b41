from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_kaizen.models import Score, ScoreSource, Span, SpanKind, Trace, Usage
from pytest_kaizen.pipeline.tally import figures_of

NOW = datetime(2026, 3, 30, tzinfo=UTC)


def a_span(span_id: str, after_ms: int = 0, **fields: Any) -> Span:
    started = NOW + timedelta(milliseconds=after_ms)
    return Span(**{"id": span_id, "name": span_id, "started_at": started, **fields})


def a_trace(*spans: Span, **fields: Any) -> Trace:
    return Trace(**{"id": "t", "name": "t", "created_at": NOW, "spans": list(spans), **fields})


def scores(**values: float | None) -> list[Score]:
    return [
        Score(name=name, value=value, source=ScoreSource.SDK, error=None if value is not None else "broken")
        for name, value in values.items()
    ]


def test_of_nothing() -> None:
    assert figures_of([]).to_json() == {
        "traces": 0,
        "errors": 0,
        "error_rate": None,
        "score": {},
        "latency_ms": {"p50": None, "p95": None},
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
    }


def test_scores_and_errors() -> None:
    twice = [*scores(polite=0.0), *scores(polite=1.0)]
    found = figures_of(
        [
            a_trace(scores=twice, error="boom"),
            a_trace(scores=scores(polite=0.5, brief=None)),
            a_trace(scores=scores(brief=0.25)),
            a_trace(a_span("s", error="a tool failed")),
        ]
    )
    assert (found.traces, found.errors, found.error_rate) == (4, 1, 0.25)
    assert {name: (score.mean, score.n) for name, score in found.score.items()} == {
        "brief": (0.25, 1),
        "polite": (0.75, 2),
    }


def test_latency_is_from_the_first_start_to_the_last_end() -> None:
    parallel = a_trace(a_span("a", latency_ms=100.0), a_span("b", 50, latency_ms=200.0))
    within = a_trace(a_span("root", latency_ms=40.0), a_span("part", 10, parent_id="root", latency_ms=None))
    goes_on = a_trace(a_span("root"), a_span("part", 10, parent_id="root", latency_ms=9.0))
    found = figures_of([parallel, within, goes_on, a_trace()])
    assert (found.latency_ms.p50, found.latency_ms.p95) == (40.0, 250.0)
    assert figures_of([goes_on]).latency_ms.p50 is None


def test_tokens_and_cost_of_the_calls_that_say_so() -> None:
    told = a_span("a", usage=Usage(input_tokens=10, output_tokens=2), cost_usd=0.5)
    half = a_span("b", usage=Usage(input_tokens=5), cost_usd=0.25)
    judge = a_span("j", kind=SpanKind.JUDGE, usage=Usage(input_tokens=100, output_tokens=9), cost_usd=9.0)
    found = figures_of([a_trace(told, judge), a_trace(half, a_span("c"))])
    assert (found.input_tokens, found.output_tokens, found.cost_usd) == (15, 2, 0.75)
