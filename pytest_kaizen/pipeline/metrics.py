"""Trace → metrics: the figures of one sample that gates compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..models import BOUNDED_METRICS, BUDGET_METRICS, Sample, Score, Span, Trace

NOTHING_CAPTURED = "no LLM call was captured"


def sample_metrics(trace: Trace, passed: bool | None) -> tuple[dict[str, float], dict[str, str]]:
    """Compute the metrics of one sample.

    ``score`` is the mean of the sample's scores, a rubric counted once by its total. A score given
    twice under one name counts by its mean. Budgets are sums over the case's own LLM calls.

    Args:
        trace: The sample's trace, with its scores.
        passed: Whether the sample passed; None when a check broke.

    Returns:
        The values by metric, and for metrics that could not be had the reason, by metric.
    """
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, scores in _by_name(trace.scores).items():
        _put(name, scores, values, missing)
    _put("score", [score for score in trace.scores if not score.is_criterion], values, missing)
    if passed is None:
        missing["pass_rate"] = "a check broke"
    else:
        values["pass_rate"] = float(passed)
    calls = trace.llm_spans
    for metric in BUDGET_METRICS:
        figures = [_OF_CALL[metric](span) for span in calls]
        known = [figure for figure in figures if figure is not None]
        if not calls:
            missing[metric] = NOTHING_CAPTURED
        elif len(known) < len(figures):
            missing[metric] = _why_unknown(metric, calls[figures.index(None)])
        else:
            values[metric] = math.fsum(known)
    return values, missing


def why_missing(metric: str, sample: Sample) -> str:
    """Say why a sample has no value for a metric."""
    if metric in sample.missing:
        return sample.missing[metric]
    names = sorted(sample.metrics.keys() - {*BOUNDED_METRICS, *BUDGET_METRICS})
    return f"no score named '{metric}' was given" + (f" (there were {', '.join(names)})" if names else "")


_OF_CALL: dict[str, Callable[[Span], float | None]] = {
    "cost_usd": lambda span: span.cost_usd,
    "latency_ms": lambda span: span.latency_ms,
    "input_tokens": lambda span: span.usage.input_tokens,
    "output_tokens": lambda span: span.usage.output_tokens,
    "calls": lambda span: 1.0,  # noqa: ARG005
}


def _by_name(scores: Sequence[Score]) -> dict[str, list[Score]]:
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.name, []).append(score)
    return groups


def _put(name: str, scores: Sequence[Score], values: dict[str, float], missing: dict[str, str]) -> None:
    broken = next((score for score in scores if score.error is not None), None)
    if broken is not None:
        missing[name] = f"{broken.name}: {broken.error}"
    elif scores:
        values[name] = math.fsum(score.value or 0.0 for score in scores) / len(scores)
    else:
        missing[name] = "nothing was scored"


def _why_unknown(metric: str, span: Span) -> str:
    if metric == "cost_usd":
        if span.error is not None:
            return f"a call failed, so its cost is not known: {span.error}"
        return f"the price of {span.model!r} or the call's usage is not known"
    return f"the call to {span.model!r} reported none"
