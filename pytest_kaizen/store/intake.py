"""Traces that come from outside: whole, or a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..models import Trace
from . import traces
from .database import Database

Change = Callable[[Trace | None], Trace]


class Intake:
    """Takes in traces that no case of ours has made.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, arrived: Iterable[Trace]) -> None:
        """Store traces; those that are stored already stay as they are."""
        self.merge((trace.id, _unless_there(trace)) for trace in arrived)

    def merge(self, changes: Iterable[tuple[str, Change]]) -> None:
        """Store what traces become, in one transaction and in the order given.

        Args:
            changes: For each trace its id, and what makes its new state of the one that is stored;
                of None for a trace that is not. It may be called more than once.
        """
        with self._database.write() as connection:
            for trace_id, change in changes:
                number = traces.number_of(connection, trace_id)
                if number is None:
                    traces.add(connection, change(None))
                    continue
                known = traces.one(connection, number)
                changed = change(known)
                if changed != known:
                    traces.replace(connection, number, changed)

    def one(self, trace_id: str) -> Trace | None:
        """Return a trace by its whole id; None when there is none."""
        with self._database.read() as connection:
            number = traces.number_of(connection, trace_id)
            return None if number is None else traces.one(connection, number)


def _unless_there(trace: Trace) -> Change:
    return lambda known: known or trace
