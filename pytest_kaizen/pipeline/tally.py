"""Cases → one line per task: the figures of the report, kept small while a run goes on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..gate import Family, Verdict, mean_interval, task_gate
from ..models import Case, GateResult, GateSpec, Sample, Span, SpanKind, TaskSummary
from .metrics import why_missing


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
