"""A task's history: what is different since its baseline, and what earlier runs say of scores and cost."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import UsageError
from ..models import (
    BOUNDED_METRICS,
    Case,
    Fall,
    Run,
    Sample,
    Span,
    SpanKind,
    TaskBaseline,
    TaskChanges,
    UsedPrompt,
)
from ..store import Store
from .baseline import means_of, task_baseline
from .tally import TaskTally

_MOST_FALLS = 5
_MOST_DIFF_LINES = 40
_SHORT_HASH = 8
_SMALLEST_FALL = 1e-9

_MOST_RUNS = 20


def task_changes(
    before: TaskBaseline,
    now: TaskBaseline,
    *,
    since: str,
    whole: bool,
    text_of: Callable[[str], str | None],
) -> TaskChanges:
    """Compare what a run found of a task with its baseline.

    Args:
        before: The baseline.
        now: The run.
        since: The baseline, in words.
        whole: Every case of the task ran, so that a case without a result was removed.
        text_of: Gives a prompt's text by the SHA-256 of it; None when it is not known.
    """
    return TaskChanges(
        since=since,
        paired=len(before.cases.keys() & now.cases.keys()),
        score=_mean_change("score", before, now),
        cases=_falls(means_of(before, "score"), means_of(now, "score")),
        criteria=_criteria(before, now),
        facts=_facts(before, now),
        prompt_diff=_prompt_diff(before.prompts, now.prompts, text_of),
        new=sorted(now.cases.keys() - before.cases.keys()),
        removed=sorted(before.cases.keys() - now.cases.keys()) if whole else [],
    )


def _mean_change(metric: str, before: TaskBaseline, now: TaskBaseline) -> Fall | None:
    """Compare the mean over the cases that have the metric in both runs."""
    old, new = means_of(before, metric), means_of(now, metric)
    both = old.keys() & new.keys()
    if not both:
        return None
    return Fall(
        name=metric, before=_mean([old[case] for case in both]), now=_mean([new[case] for case in both])
    )


def _falls(before: Mapping[str, float], now: Mapping[str, float]) -> list[Fall]:
    falls = [
        Fall(name=name, before=before[name], now=now[name])
        for name in before.keys() & now.keys()
        if before[name] - now[name] > _SMALLEST_FALL
    ]
    return sorted(falls, key=lambda fall: (fall.now - fall.before, fall.name))[:_MOST_FALLS]


def _criteria(before: TaskBaseline, now: TaskBaseline) -> list[Fall]:
    """Find what fell most: criteria and checks, not the totals that they add up to."""
    names = {name for metrics in now.cases.values() for name in metrics}
    totals = {name.rpartition(".")[0] for name in names} | {*BOUNDED_METRICS}
    changes = [_mean_change(name, before, now) for name in names - totals]
    known = [change for change in changes if change is not None]
    return _falls({c.name: c.before for c in known}, {c.name: c.now for c in known})


def _facts(before: TaskBaseline, now: TaskBaseline) -> list[tuple[str, str, str]]:
    rubrics = sorted(before.rubrics.keys() | now.rubrics.keys())
    pairs = [
        ("prompt", _prompts(before.prompts), _prompts(now.prompts)),
        ("model", ", ".join(before.models), ", ".join(now.models)),
        ("judge", ", ".join(before.judges), ", ".join(now.judges)),
        *(
            (f"rubric {name}", _hash(before.rubrics.get(name)), _hash(now.rubrics.get(name)))
            for name in rubrics
        ),
        ("revision", _hash(before.revision), _hash(now.revision)),
    ]
    return [(what, old or "none", new or "none") for what, old, new in pairs if old != new]


def _prompts(prompts: Sequence[UsedPrompt]) -> str:
    return ", ".join(f"v{prompt.version} ({_hash(prompt.sha256)})" for prompt in prompts)


def _hash(text: str | None) -> str:
    return (text or "")[:_SHORT_HASH]


def _prompt_diff(
    before: Sequence[UsedPrompt], now: Sequence[UsedPrompt], text_of: Callable[[str], str | None]
) -> list[str]:
    """Compare the newest version of either run."""
    if not before or not now or before[-1].sha256 == now[-1].sha256:
        return []
    texts = [text_of(prompt.sha256) for prompt in (before[-1], now[-1])]
    names = [f"v{prompt.version} ({_hash(prompt.sha256)})" for prompt in (before[-1], now[-1])]
    unknown = [name for name, text in zip(names, texts, strict=True) if text is None]
    if unknown:
        return [f"the text of {' and '.join(unknown)} is neither in the prompt files nor in the store"]
    old, new = [(text or "").split("\n") for text in texts]
    lines = list(difflib.unified_diff(old, new, names[0], names[1], lineterm=""))
    more = len(lines) - _MOST_DIFF_LINES
    return lines if more <= 0 else [*lines[:_MOST_DIFF_LINES], f"... and {more} more lines"]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


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
