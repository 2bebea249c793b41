"""What earlier runs say of a task's scores, and of what a sample of it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import UsageError
from ..models import Case, Run, Sample, Span, SpanKind, TaskBaseline
from ..store import Store
from .baseline import task_baseline
from .tally import TaskTally

_MOST_RUNS = 20


@dataclass
class StoredScores:
    """The samples of a task under one prompt, model, judge and set of rubrics.

    Attributes:
        cases: The metric of each case's samples, over all runs.
        runs: The runs they are from, the newest first.
        prompts: The prompt versions in them.
        samples: Their number, those without the metric included.
        calls: Model calls in them, the judge's included.
        cost_usd: What these cost; None when the cost of one is not known.
    """

    cases: dict[str, list[float]] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    prompts: tuple[int, ...] = ()
    samples: int = 0
    calls: int = 0
    cost_usd: float | None = 0.0

    @property
    def calls_per_sample(self) -> float:
        """Model calls of a sample, in the mean."""
        return self.calls / self.samples

    @property
    def cost_per_sample(self) -> float | None:
        """Cost of a sample in US dollars, in the mean; None when it is not known."""
        return None if self.cost_usd is None else self.cost_usd / self.samples

    def add(self, run: Run, cases: Iterable[Case], metric: str) -> None:
        """Take in a run."""
        self.runs.append(run.id)
        for case in cases:
            for sample in case.samples:
                self._add_sample(case.id, sample, metric)

    def _add_sample(self, case_id: str, sample: Sample, metric: str) -> None:
        self.samples += 1
        spans = [span for span in sample.trace.spans if _is_call(span)]
        self.calls += len(spans)
        costs = [span.cost_usd for span in spans if span.cost_usd is not None]
        known = self.cost_usd is not None and len(costs) == len(spans)
        self.cost_usd = (self.cost_usd or 0.0) + math.fsum(costs) if known else None
        if metric in sample.metrics:
            self.cases.setdefault(case_id, []).append(sample.metrics[metric])


def stored_scores(store: Store, task: str, metric: str) -> StoredScores:
    """Gather the scores of a task's newest runs, as far back as they were made alike.

    Args:
        store: Holds the runs.
        task: The task.
        metric: A score's name.

    Raises:
        UsageError: There are none; says which tasks or metrics there are.
    """
    found = StoredScores()
    made_with: object = None
    tasks: set[str] = set()
    metrics: set[str] = set()
    for run in store.runs(_MOST_RUNS):
        tasks |= {summary.task for summary in run.tasks}
        if all(summary.task != task for summary in run.tasks):
            continue
        cases = [case for case in store.cases(run.id) if case.task == task and case.complete and case.samples]
        tally = TaskTally(task)
        for case in cases:
            tally.add(case, ())
        baseline = task_baseline(tally, run)
        made_with = made_with or _made_with(baseline)
        if _made_with(baseline) != made_with:
            break
        found.prompts = tuple(prompt.version for prompt in baseline.prompts)
        metrics |= {name for means in baseline.cases.values() for name in means}
        found.add(run, cases, metric)
    if not found.cases:
        raise UsageError(_nothing(task, metric, tasks, metrics))
    return found


def _made_with(baseline: TaskBaseline) -> tuple[object, ...]:
    return baseline.prompts, baseline.models, baseline.judges, sorted(baseline.rubrics.items())


def _is_call(span: Span) -> bool:
    return span.kind in (SpanKind.LLM, SpanKind.JUDGE)


def _nothing(task: str, metric: str, tasks: Iterable[str], metrics: Iterable[str]) -> str:
    if task not in tasks:
        there = ", ".join(sorted(tasks)) or "none"
        return (
            f"the store holds no scores of task '{task}' (tasks there: {there}); run `pytest --kaizen` first"
        )
    there = ", ".join(sorted(metrics)) or "none"
    return f"task '{task}' has no scores named '{metric}' (there: {there}); name one with --metric"
