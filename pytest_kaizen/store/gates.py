"""Gate results, of cases and of tasks."""

from __future__ import annotations

from ..models import GateResult
from .database import Connection
from .table import Table

_GATES = Table(
    "gates",
    GateResult,
    keys=("run", "case_number", "summary", "position"),
    columns=("task", "name", "figure", "outcome"),
)
OF_CASE = f"SELECT {_GATES.fields} FROM gates WHERE case_number = ? ORDER BY position"
OF_SUMMARY = f"SELECT {_GATES.fields} FROM gates WHERE run = ? AND summary = ? ORDER BY position"


def delete_of_case(connection: Connection, case: int) -> None:
    """Remove the gates of a case."""
    connection.execute("DELETE FROM gates WHERE case_number = ?", (case,))


def add_of_case(connection: Connection, case: int, gates: list[GateResult]) -> None:
    """Store the gates of a case that has none."""
    _GATES.insert_all(connection, gates, None, case, None)


def add_of_summary(connection: Connection, run: int, summary: int, gates: list[GateResult]) -> None:
    """Store the gates of a task in a run."""
    _GATES.insert_all(connection, gates, run, None, summary)


def delete_of_summaries(connection: Connection, run: int) -> None:
    """Remove the gates of all tasks in a run."""
    connection.execute("DELETE FROM gates WHERE run = ? AND summary IS NOT NULL", (run,))


def of_case(connection: Connection, case: int) -> list[GateResult]:
    """Return the gates of a case, in order."""
    return [_GATES.read(row) for row in connection.execute(OF_CASE, (case,)).fetchall()]


def of_summary(connection: Connection, run: int, summary: int) -> list[GateResult]:
    """Return the gates of a task in a run, in order."""
    return [_GATES.read(row) for row in connection.execute(OF_SUMMARY, (run, summary)).fetchall()]
