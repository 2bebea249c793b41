"""Traces that come from outside: whole, or a part at a time."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Trace
from . import traces
from .database import Database
from .traces import Page


class Intake:
    """Takes in traces that no case of ours has made.

    A trace that comes in parts is read, put together and stored in one group (``GroupWriter.submit``).

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, arrived: Iterable[Trace]) -> None:
        """Store what traces are now, new ones and known ones alike; what one is a sample of stays."""
        with self._database.write() as connection:
            for trace in arrived:
                number = traces.number_of(connection, trace.id)
                if number is None:
                    traces.add(connection, trace)
                else:
                    traces.replace(connection, number, trace)

    def page(
        self,
        *,
        task: str | None = None,
        provider: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """Return traces, the newest first.

        Args:
            task: Of this task only.
            provider: Only those with a call to this provider.
            limit: At most so many.
            after: What comes after the page that ended here.

        Raises:
            ValueError: ``after`` is no end of a page.
        """
        with self._database.read() as connection:
            return traces.page(connection, task, provider, limit, after)

    def one(self, trace_id: str) -> Trace | None:
        """Return a trace by its whole id; None when there is none."""
        with self._database.read() as connection:
            number = traces.number_of(connection, trace_id)
            return None if number is None else traces.one(connection, number)
