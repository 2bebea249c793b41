"""What a request without a record comes closest to."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence

from .layout import render
from .matching import Question
from .record import Record

_MOST_LINES = 60
_CONTEXT = 2


def nearest(question: Question, records: Sequence[Record]) -> Record | None:
    """Return the record whose request has most in common with another; None where there is no record."""
    lines = _lines(question)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(lines)

    def likeness(record: Record) -> float:
        matcher.set_seq1(_lines(record.question))
        return matcher.ratio()

    return max(records, key=likeness, default=None)


def difference(recorded: Question, asked: Question) -> list[str]:
    """Compare two requests line by line: what was recorded, and what is asked now."""
    lines = list(_shortened(_diff(_lines(recorded), _lines(asked))))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more lines"]
    return lines


def _diff(old: list[str], new: list[str]) -> Iterator[str]:
    diff = difflib.unified_diff(old, new, "recorded", "now", n=_CONTEXT, lineterm="")
    return (line for line in diff if not line.startswith("@@"))


def _shortened(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if len(line) <= 240 else f"{line[:239]}…"


def _lines(question: Question) -> list[str]:
    # Keys in one order, as they make no difference.
    body = json.loads(json.dumps(question.body, sort_keys=True))
    return [f"{question.method} {question.url}", *render(body).splitlines()]
