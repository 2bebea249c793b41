"""Figures: the metrics of a sample, which gates compare, one line for each task, those of an experiment.

Tallies are kept small while a run goes on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ..gate import Family, Verdict, mean_interval, task_gate
from ..models import (
    BOUNDED_METRICS,
    BUDGET_METRICS,
    Case,
    GateResult,
    GateSpec,
    Sample,
    Score,
    Span,
    SpanKind,
    TaskSummary,
    Trace,
)

if TYPE_CHECKING:
    from ..platforms.kalmia import ExperimentMetrics, MeanScore

NOTHING_CAPTURED = "no LLM call was captured"

_OF_CALL: dict[str, Callable[[Span], float | None]] = {
    "cost_usd": lambda span: span.cost_usd,
    "latency_ms": lambda span: span.latency_ms,
    "input_tokens": lambda span: span.usage.input_tokens,
    "output_tokens": lambda span: span.usage.output_tokens,
    "calls": lambda span: 1.0,  # noqa: ARG005
}


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


@dataclass
class _Calls:
    """Sums over model calls."""

    count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def add(self, span: Span) -> None:
        self.count += 1
        self.input_tokens += span.usage.input_tokens or 0
        self.output_tokens += span.usage.output_tokens or 0
        if span.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += span.cost_usd

    @property
    def known_cost(self) -> float | None:
        """The sum, or None when no call has a known cost."""
        return self.cost_usd if self.unpriced < self.count else None


@dataclass
class _CaseFigures:
    metrics: list[dict[str, float]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    prompts: set[tuple[int, str]] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    judges: set[str] = field(default_factory=set)
    rubrics: dict[str, str] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    calls: _Calls = field(default_factory=_Calls)
    judge: _Calls = field(default_factory=_Calls)
    gates: list[GateResult] = field(default_factory=list)


@dataclass
class TaskTally:
    """What is known of one task: figures by case, without the texts of its traces."""

    task: str
    cases: dict[str, _CaseFigures] = field(default_factory=dict)

    def add(self, case: Case, metrics_asked: Sequence[str], *, further: bool = False) -> None:
        """Take in a case that ran to its end; a rerun of it takes the place of the earlier one.

        Args:
            case: The case with its samples.
            metrics_asked: What gates on the task look at.
            further: These samples come on top of those that the case has.
        """
        figures = self.cases[case.id] if further else _CaseFigures()
        for sample in case.samples:
            figures.metrics.append(sample.metrics)
            figures.missing.append(
                {m: why_missing(m, sample) for m in metrics_asked if m not in sample.metrics}
            )
            self._add_spans(figures, sample)
            if self.task in sample.prompts:
                figures.prompts.add(sample.prompts[self.task])
            figures.rubrics.update(sample.rubrics)
        figures.gates = case.gates
        self.cases[case.id] = figures

    def _add_spans(self, figures: _CaseFigures, sample: Sample) -> None:
        for span in sample.trace.spans:
            if span.kind is SpanKind.LLM:
                figures.calls.add(span)
                figures.models.update([span.model] if span.model else [])
                if span.latency_ms is not None:
                    figures.latencies.append(span.latency_ms)
            elif span.kind is SpanKind.JUDGE:
                figures.judge.add(span)
                figures.judges.update([span.model] if span.model else [])

    def gate(
        self, spec: GateSpec, collected: int, *, verdict: Verdict | None = None, family: Family | None = None
    ) -> GateResult:
        """Decide a rule on the whole task."""
        return task_gate(
            spec,
            self.values(spec.metric),
            collected=collected,
            ran=len(self.cases),
            missing=self.reasons(spec.metric),
            verdict=verdict,
            family=family,
        )

    def values(self, metric: str) -> Mapping[str, list[float | None]]:
        """Return a metric of each case's samples; None for a sample that does not have it."""
        return {
            case_id: [metrics.get(metric) for metrics in figures.metrics]
            for case_id, figures in self.cases.items()
        }

    def reasons(self, metric: str) -> list[str]:
        """Return why samples do not have a metric."""
        return [
            missing[metric]
            for figures in self.cases.values()
            for missing in figures.missing
            if metric in missing
        ]

    @property
    def case_gates(self) -> list[GateResult]:
        """Every verdict on a single case of the task."""
        return [result for figures in self.cases.values() for result in figures.gates]

    def summary(self, collected: int, gates: Sequence[GateResult]) -> TaskSummary:
        """Make the task's line of the report."""
        cases = list(self.cases.values())
        scores = self.case_means("score")
        passes = self.case_means("pass_rate")
        latencies = sorted(latency for figures in cases for latency in figures.latencies)
        calls = _total([figures.calls for figures in cases])
        judge = _total([figures.judge for figures in cases])
        prompts = sorted({version for figures in cases for version, _ in figures.prompts})
        return TaskSummary(
            task=self.task,
            cases=len(cases),
            collected=collected,
            samples=sum(len(figures.metrics) for figures in cases),
            score=_mean(scores),
            score_interval=mean_interval(scores) if scores else None,
            pass_rate=_mean(passes),
            prompts=", ".join(f"v{version}" for version in prompts),
            calls=calls.count,
            input_tokens=calls.input_tokens,
            output_tokens=calls.output_tokens,
            cost_usd=calls.known_cost,
            unpriced=calls.unpriced,
            judge_calls=judge.count,
            judge_cost_usd=judge.known_cost,
            latency_p50_ms=percentile(latencies, 0.50),
            latency_p95_ms=percentile(latencies, 0.95),
            case_gates=dict(Counter(result.outcome.value for result in self.case_gates)),
            gates=list(gates),
        )

    def case_means(self, metric: str) -> list[float]:
        """Return the mean of each case that has the metric at all, so that cases count alike."""
        per_case = [
            [metrics[metric] for metrics in figures.metrics if metric in metrics]
            for figures in self.cases.values()
        ]
        return [math.fsum(values) / len(values) for values in per_case if values]


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile of values in ascending order; None when there are none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _total(parts: Sequence[_Calls]) -> _Calls:
    return _Calls(
        count=sum(part.count for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
        cost_usd=math.fsum(part.cost_usd for part in parts),
        unpriced=sum(part.unpriced for part in parts),
    )


def figures_of(traces: Sequence[Trace]) -> ExperimentMetrics:
    """Compute the figures of traces; see ``ExperimentMetrics``."""
    # Not above: a run of tests needs nothing of a platform.
    from ..platforms.kalmia import ExperimentMetrics, Latency

    errors = sum(trace.error is not None for trace in traces)
    latencies = sorted(latency for latency in map(_latency_ms, traces) if latency is not None)
    calls = [span for trace in traces for span in trace.llm_spans]
    return ExperimentMetrics(
        traces=len(traces),
        errors=errors,
        error_rate=errors / len(traces) if traces else None,
        score=_mean_scores(traces),
        latency_ms=Latency(p50=percentile(latencies, 0.50), p95=percentile(latencies, 0.95)),
        input_tokens=_sum_known(span.usage.input_tokens for span in calls),
        output_tokens=_sum_known(span.usage.output_tokens for span in calls),
        cost_usd=_total_cost(span.cost_usd for span in calls),
    )


def _mean_scores(traces: Sequence[Trace]) -> dict[str, MeanScore]:
    from ..platforms.kalmia import MeanScore

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


def _sum_known(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _total_cost(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None
