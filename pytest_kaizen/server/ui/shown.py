"""Values as pages show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...models import Interval, Outcome, Span

#: What templates may use as filters.
FILTERS = ("score", "percent", "usd", "ms", "count", "time", "interval", "verbatim", "heat", "total", "many")
_OF_CASE = {"passed": Outcome.PASS, "failed": Outcome.FAIL, "error": Outcome.FAIL, "skipped": Outcome.NOT_RUN}
_WORST = (Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_RUN, Outcome.PASS)
_DEEPEST = 20
#: Stands for a value that is not known: an en dash.
UNKNOWN = "\u2013"


class Row(NamedTuple):
    """A span in a waterfall.

    Attributes:
        level: How many spans it is in.
        left: Where it begins, in percent of the whole.
        width: How long it is, in percent of the whole.
    """

    span: Span
    level: int
    left: float
    width: float


def score(value: float | None) -> str:
    """Show a value in [0, 1]."""
    return UNKNOWN if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Show a share."""
    return UNKNOWN if value is None else f"{value:.0%}"


def usd(value: float | None) -> str:
    """Show US dollars."""
    if value is None:
        return UNKNOWN
    return f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def ms(value: float | None) -> str:
    """Show milliseconds."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
    return f"{value / 1000:.2f} s"


def count(value: int | None) -> str:
    """Show a number of things."""
    return UNKNOWN if value is None else f"{value:,}"


def many(value: int, noun: str) -> str:
    """Show a number of things with what they are."""
    return f"{value:,} {noun}{'s' * (value != 1)}"


def time(value: datetime | None) -> str:
    """Show a moment, to the minute."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def interval(value: Interval | None) -> str:
    """Show an interval."""
    return "" if value is None else f"[{value[0]:.2f}, {value[1]:.2f}]"


def verbatim(value: Any) -> str:
    """Return a text as it is and anything else as JSON that can be read."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def heat(value: float | None) -> str:
    """Return the class of a cell whose colour is its value in [0, 1]."""
    return "soft" if value is None else f"heat heat-{round(min(max(value, 0.0), 1.0) * 10)}"


def worst(outcomes: Iterable[str]) -> str | None:
    """Return the worst of the outcomes of gates; None without any."""
    there = set(outcomes)
    return next((outcome.value for outcome in _WORST if outcome in there), None)


def badness(outcome: str) -> int:
    """Return the place of an outcome among all, of which the worst comes first."""
    return _WORST.index(Outcome(outcome))


def of_case(outcome: str, gates: Iterable[str]) -> str:
    """Return what came of a case: the worst of its own outcome and that of its gates."""
    own = _OF_CASE.get(outcome, Outcome.UNDECIDED)
    found = worst(gates)
    return own.value if own is Outcome.FAIL or found in (None, Outcome.PASS) else str(found)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def rows(spans: Sequence[Span]) -> list[Row]:
    """Lay out spans under one another by when and how long they were."""
    if not spans:
        return []
    begin = min(span.started_at for span in spans)
    whole = max((_end(span) - begin).total_seconds() for span in spans) or 1e-6
    by_id = {span.id: span for span in spans}
    return [
        Row(
            span,
            _level(span, by_id),
            round((span.started_at - begin).total_seconds() / whole * 100, 3),
            round(min((span.latency_ms or 0.0) / 1000 / whole, 1.0) * 100, 3),
        )
        for span in spans
    ]


def _end(span: Span) -> datetime:
    return span.started_at + timedelta(milliseconds=span.latency_ms or 0.0)


def _level(span: Span, by_id: Mapping[str, Span]) -> int:
    level, at = 0, by_id.get(span.parent_id or "")
    # Spans of others may name one another in a circle.
    while at is not None and level < _DEEPEST:
        level, at = level + 1, by_id.get(at.parent_id or "")
    return level
