"""Traces → the figures of an experiment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

from ..models import Trace
from ..platforms.kalmia import ExperimentMetrics, Latency, MeanScore
from .tally import percentile


def figures_of(traces: Sequence[Trace]) -> ExperimentMetrics:
    """Compute the figures of traces; see ``ExperimentMetrics``."""
    errors = sum(trace.error is not None for trace in traces)
    latencies = sorted(latency for latency in map(_latency_ms, traces) if latency is not None)
    calls = [span for trace in traces for span in trace.llm_spans]
    return ExperimentMetrics(
        traces=len(traces),
        errors=errors,
        error_rate=errors / len(traces) if traces else None,
        score=_scores(traces),
        latency_ms=Latency(p50=percentile(latencies, 0.50), p95=percentile(latencies, 0.95)),
        input_tokens=_sum(span.usage.input_tokens for span in calls),
        output_tokens=_sum(span.usage.output_tokens for span in calls),
        cost_usd=_total(span.cost_usd for span in calls),
    )


def _scores(traces: Sequence[Trace]) -> dict[str, MeanScore]:
    by_name: dict[str, list[float]] = {}
    for trace in traces:
        last = {score.name: score.value for score in trace.scores if score.value is not None}
        for name, value in last.items():
            by_name.setdefault(name, []).append(value)
    return {
        name: MeanScore(mean=math.fsum(values) / len(values), n=len(values))
        for name, values in sorted(by_name.items())
    }


def _latency_ms(trace: Trace) -> float | None:
    """Return how long a trace took; None for one without spans, or of which a root goes on."""
    if any(span.parent_id is None and span.latency_ms is None for span in trace.spans):
        return None
    timed = [span for span in trace.spans if span.latency_ms is not None]
    if not timed:
        return None
    end = max(span.started_at + timedelta(milliseconds=span.latency_ms or 0.0) for span in timed)
    return (end - min(span.started_at for span in timed)).total_seconds() * 1000


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _total(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None
