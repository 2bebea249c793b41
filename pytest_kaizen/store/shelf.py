"""Traces as people handle them: put in, listed by their ids, taken out."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Trace
from . import traces
from .database import Database
from .lookup import find
from .search import Hits, scan
from .table import key


class Shelf:
    """Traces that no test made, and taking out any.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, items: Iterable[Trace]) -> list[str]:
        """Store traces that belong to no run, all or none; one that is there already stays.

        Returns:
            The ids of those that were not there.
        """
        with self._database.write() as connection:
            return [trace.id for trace in items if traces.add(connection, trace)]

    def delete(self, trace_id: str) -> str:
        """Delete a trace with its spans and scores; a run that it was of has a sample less then.

        Args:
            trace_id: Its id or an unambiguous beginning of it.

        Returns:
            The whole id.

        Raises:
            StoreError: None or several are meant.
        """
        with self._database.write() as connection:
            return traces.delete(connection, find(connection, self._database.path, "traces", trace_id))

    def ids(self, task: str | None = None) -> list[str]:
        """Return the ids of all traces, the newest first; of one task only, where given."""
        where, values = ("", ()) if task is None else (" AND task = ?", (key(task),))
        query = (
            f"SELECT id FROM traces WHERE {traces.NOT_OF_JOB}{where} ORDER BY created_at DESC, number DESC"
        )
        with self._database.read() as connection:
            return [row[0] for row in connection.execute(query, values).fetchall()]

    def search(self, text: str, *, limit: int = 50) -> Hits:
        """Find traces as ``OpenWorkspace.search`` does, in a store that keeps no index.

        Args:
            text: What a person types: words, ``"phrases"`` and ``-words``.
            limit: At most so many hits.
        """
        with self._database.read() as connection:
            return scan(connection, text, limit)
