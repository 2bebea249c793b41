"""Deleting the oldest traces, so that a workspace stays within its age and size."""

from __future__ import annotations

from datetime import datetime

from .database import Connection, Database
from .table import utc_text

#: By table, the column with the number of the trace that a row is of.
_OF_TRACE = (("scores", "trace"), ("spans", "trace"), ("annotations", "trace"), ("traces", "number"))


class Retention:
    """Deletes from one workspace, a little at a time, so that nobody waits long.

    All methods raise ``StoreError`` when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int:
        """Return how many traces there are."""
        with self._database.read() as connection:
            number: int = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
        return number

    def delete_traces(self, limit: int, *, before: datetime | None = None) -> int:
        """Delete the oldest traces with their spans and scores; return how many.

        Args:
            limit: At most so many.
            before: Only those created before.
        """
        where, params = ("", ()) if before is None else ("WHERE created_at < ? ", (utc_text(before),))
        query = f"SELECT number FROM traces {where}ORDER BY created_at, number LIMIT ?"
        with self._database.write() as connection:
            numbers = [row[0] for row in connection.execute(query, (*params, limit)).fetchall()]
            for table, column in _OF_TRACE:
                _delete(connection, table, column, numbers)
        return len(numbers)

    def delete_runs(self, limit: int, *, before: datetime) -> int:
        """Delete the oldest runs that have no traces any more, with their cases and gates.

        Args:
            limit: At most so many; return how many there were.
            before: Only those begun before.
        """
        query = (
            "SELECT number FROM runs WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM traces JOIN cases ON "
            "cases.number = case_number WHERE cases.run = runs.number) ORDER BY created_at LIMIT ?"
        )
        with self._database.write() as connection:
            runs = [row[0] for row in connection.execute(query, (utc_text(before), limit)).fetchall()]
            for run in runs:
                cases = "SELECT number FROM cases WHERE run = ?"
                connection.execute(f"DELETE FROM gates WHERE case_number IN ({cases})", (run,))
            for table, column in (("gates", "run"), ("task_summaries", "run"), ("cases", "run")):
                _delete(connection, table, column, runs)
            _delete(connection, "runs", "number", runs)
        return len(runs)


def _delete(connection: Connection, table: str, column: str, numbers: list[int]) -> None:
    if numbers:
        marks = ", ".join("?" * len(numbers))
        connection.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", numbers)
