"""What is there already, as people handle it: runs are read, traces listed, put in, found and taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ..models import Case, Run, Trace
from . import runs, traces
from .database import Connection, Database
from .search import Hits, scan
from .table import find_number, key, utc_text

#: Traces that are read at one time.
_TOGETHER = 200

#: By table, the column with the number of the trace that a row is of.
_OF_TRACE = (("scores", "trace"), ("spans", "trace"), ("annotations", "trace"), ("traces", "number"))


class Archive:
    """Reads what test sessions left.

    All methods raise ``StoreError`` when the database cannot be read.

    Args:
        database: Where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, run_id: str) -> Run | None:
        """Return a run; None when there is none."""
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return None if number is None else runs.one(connection, number)

    def cases(self, run_id: str, task: str) -> list[Case]:
        """Return the cases of a task in a run, in the order they began.

        Their samples have what they were judged by; their traces are without spans and scores, so that
        a run of a thousand cases is listed at once.
        """
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return [] if number is None else runs.case_outlines(connection, number, run_id, task)

    def case(self, run_id: str, case_id: str) -> Case | None:
        """Return a case of a run with all that its last attempt did; None when there is none."""
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return None if number is None else runs.one_case(connection, number, run_id, case_id)


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
            return traces.delete(connection, find_number(connection, self._database.path, "traces", trace_id))

    def ids(self, task: str | None = None) -> list[str]:
        """Return the ids of all traces, the newest first; of one task only, where given."""
        return [trace_id for _, trace_id in self._listed(task)]

    def each(self, task: str | None = None) -> Iterator[Trace]:
        """Read the traces of ``ids`` in its order, some at a time; not one that is deleted meanwhile."""
        numbers = [number for number, _ in self._listed(task)]
        for start in range(0, len(numbers), _TOGETHER):
            wanted = numbers[start : start + _TOGETHER]
            with self._database.read() as connection:
                found = traces.some(connection, wanted)
            yield from (found[number] for number in wanted if number in found)

    def _listed(self, task: str | None) -> list[tuple[int, str]]:
        where, values = ("", ()) if task is None else (" AND task = ?", (key(task),))
        query = (
            f"SELECT number, id FROM traces WHERE {traces.NOT_OF_JOB}{where} "
            "ORDER BY created_at DESC, number DESC"
        )
        with self._database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(query, values).fetchall()]

    def search(self, text: str, *, limit: int = 50) -> Hits:
        """Find traces as ``OpenWorkspace.search`` does, in a store that keeps no index.

        Args:
            text: What a person types: words, ``"phrases"`` and ``-words``.
            limit: At most so many hits.
        """
        with self._database.read() as connection:
            return scan(connection, text, limit)


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
                _delete_rows(connection, table, column, numbers)
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
            numbers = [row[0] for row in connection.execute(query, (utc_text(before), limit)).fetchall()]
            for number in numbers:
                cases = "SELECT number FROM cases WHERE run = ?"
                connection.execute(f"DELETE FROM gates WHERE case_number IN ({cases})", (number,))
            for table, column in (("gates", "run"), ("task_summaries", "run"), ("cases", "run")):
                _delete_rows(connection, table, column, numbers)
            _delete_rows(connection, "runs", "number", numbers)
        return len(numbers)


def _delete_rows(connection: Connection, table: str, column: str, numbers: list[int]) -> None:
    if numbers:
        marks = ", ".join("?" * len(numbers))
        connection.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", numbers)
