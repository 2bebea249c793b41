"""Two baselines of one task → what is different: scores, cases, and what the runs were made with."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence

from ..models import BOUNDED_METRICS, Fall, TaskBaseline, TaskChanges, UsedPrompt
from .baseline import means_of

_MOST_FALLS = 5
_MOST_DIFF_LINES = 40
_SHORT_HASH = 8
_SMALLEST_FALL = 1e-9


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
