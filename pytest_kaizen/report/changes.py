"""What is different from the baseline, as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Fall, TaskChanges
from .text import safe_text

_NAMED = 3
_LONGEST_LINE = 160


def changes_lines(task: str, changes: TaskChanges) -> list[str]:
    """Lay out what changed since the baseline: the scores, what fell most, what the runs differ in."""
    score = f"score {_change(changes.score)} over " if changes.score else ""
    cases = f"{changes.paired} case{'s' * (changes.paired != 1)} in both"
    lines = [f"{task}: since {changes.since}: {score}{cases}"]
    if changes.cases:
        lines.append(f"  cases that fell most: {_falls(changes.cases)}")
    if changes.criteria:
        lines.append(f"  criteria that fell most: {_falls(changes.criteria)}")
    facts = "; ".join(f"{what} {before} to {now}" for what, before, now in changes.facts)
    lines.append(f"  changed: {facts or 'nothing: same prompt, models, judge, rubrics and revision'}")
    lines += [f"  {what}: {_names(cases)}" for what, cases in _lists(changes) if cases]
    lines += [f"    {line[:_LONGEST_LINE]}" for line in changes.prompt_diff]
    return [safe_text(line) for line in lines]


def _lists(changes: TaskChanges) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("new", changes.new), ("removed", changes.removed)


def _falls(falls: Sequence[Fall]) -> str:
    return ", ".join(f"{fall.name} {_change(fall)}" for fall in falls[:_NAMED])


def _change(fall: Fall) -> str:
    return f"{fall.before:.2f} to {fall.now:.2f}"


def _names(cases: Sequence[str]) -> str:
    more = len(cases) - _NAMED
    return ", ".join(cases[:_NAMED]) + (f" and {more} more" if more > 0 else "")
