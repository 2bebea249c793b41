"""Tables whose rows a person compares: sorted here, by links in their heads, so that a link keeps it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from ...models import Trace
from ..problem import Refusal
from .shown import mean

Row = TypeVar("Row")


class Sorting(BaseModel):
    """In which order a table is.

    Attributes:
        sort: The key of a column; with a ``-`` before it the other way round. None: as it comes.
    """

    sort: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: What ``sort`` calls it.
        title: What stands at its head.
        value: What rows are sorted by; those without one come last. None for a column of no order.
        is_number: Its cells are numbers.
    """

    key: str
    title: str
    value: Callable[[Any], Any] | None
    is_number: bool = False


def _mean_score(trace: Trace) -> float | None:
    return mean(score.value for score in trace.scores)


#: Of traces; the keys are those of ``store.intake.ordered``.
TRACE_COLUMNS = (
    Column("trace", "Trace", lambda trace: trace.id),
    Column("when", "When", lambda trace: trace.created_at),
    Column("task", "Task", lambda trace: trace.task),
    Column("name", "Name", lambda trace: trace.name),
    Column("scores", "Scores", _mean_score),
    Column("spans", "Spans", lambda trace: len(trace.spans), is_number=True),
    Column("error", "Error", lambda trace: trace.error),
)


@dataclass(frozen=True)
class Order:
    """A table as it is asked for; the macro ``heads`` draws its heads.

    Attributes:
        columns: Its columns.
        by: What is asked for.
        at: The parts of the page's path.
        kept: What else of the query the links keep.
    """

    columns: Sequence[Column]
    by: str | None
    at: Sequence[object]
    kept: Mapping[str, object]

    def way(self, column: Column) -> str | None:
        """Return how the table is sorted by a column, as ``aria-sort`` says it; None for not by it."""
        return {column.key: "ascending", f"-{column.key}": "descending"}.get(self.by or "")

    def asked(self, column: Column) -> dict[str, object]:
        """Return the query of the link at a column's head: once more, and it is the other way round."""
        return {**self.kept, "sort": f"-{column.key}" if self.by == column.key else column.key}


def order(columns: Sequence[Column], by: str | None, *at: object, **kept: object) -> Order:
    """Say how a table is sorted.

    Args:
        columns: Its columns.
        by: What is asked for.
        at: The parts of the page's path.
        kept: What else of the query the links keep.

    Raises:
        Refusal: There is no such column (422).
    """
    keys = [column.key for column in columns if column.value is not None]
    if by is not None and by.removeprefix("-") not in keys:
        raise Refusal(
            422, f"query.sort: there is no column {by!r}; sort by one of: {', '.join(dict.fromkeys(keys))}"
        )
    return Order(columns, by, at, kept)


def in_order(rows: Iterable[Row], ordered: Order) -> list[Row]:
    """Return rows in the order that is asked for; equal ones, and all where none is, as they come."""
    rows = list(rows)
    column = next((known for known in ordered.columns if ordered.way(known)), None)
    if column is None or column.value is None:
        return rows
    value = column.value
    known = [row for row in rows if value(row) is not None]
    known.sort(key=value, reverse=ordered.way(column) == "descending")
    return known + [row for row in rows if value(row) is None]
