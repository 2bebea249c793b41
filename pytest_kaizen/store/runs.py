"""Runs and their summaries by task."""

from __future__ import annotations

from ..models import Run, TaskSummary
from . import gates
from .database import Connection, insert
from .table import Row, Table, key

_RUNS = Table(
    "runs",
    Run,
    columns=("id", "created_at", "finished_at", "status", "exit_status", "revision", "branch", "kind"),
    elsewhere=("tasks",),
)
_SUMMARIES = Table(
    "task_summaries",
    TaskSummary,
    keys=("run", "position"),
    columns=("task", "cases", "samples", "score", "pass_rate", "cost_usd", "partial"),
    elsewhere=("gates",),
)
NEWEST = f"SELECT runs.number, {_RUNS.fields} FROM runs ORDER BY created_at DESC, number DESC LIMIT ?"
ONE = f"SELECT runs.number, {_RUNS.fields} FROM runs WHERE number = ?"
LAST_WHOLE = (
    # SQLite takes the tables of a cross join in this order: the newest run that fits ends the search.
    "SELECT runs.number FROM runs CROSS JOIN task_summaries WHERE run = runs.number "
    "AND status = 'completed' AND task = ?1 AND cases > 0 AND (?2 IS NULL OR branch = ?2) "
    "AND partial IS NULL "
    "ORDER BY created_at DESC, runs.number DESC LIMIT 1"
)
SUMMARIES_OF_RUN = f"SELECT {_SUMMARIES.fields} FROM task_summaries WHERE run = ? ORDER BY position"


def add(connection: Connection, run: Run) -> None:
    """Store a new run."""
    number = insert(connection, _RUNS.insert, _RUNS.row(run))
    assert number is not None
    _add_summaries(connection, number, run.tasks)


def update(connection: Connection, number: int, run: Run) -> None:
    """Store what a run has become, in place of what it was."""
    gates.delete_of_summaries(connection, number)
    connection.execute("DELETE FROM task_summaries WHERE run = ?", (number,))
    connection.execute(f"{_RUNS.update} WHERE number = ?", (*_RUNS.changes(run), number))
    _add_summaries(connection, number, run.tasks)


def _add_summaries(connection: Connection, run: int, summaries: list[TaskSummary]) -> None:
    _SUMMARIES.insert_all(connection, summaries, run)
    for position, summary in enumerate(summaries):
        gates.add_of_summary(connection, run, position, summary.gates)


def newest(connection: Connection, limit: int) -> list[Run]:
    """Return runs, the newest first."""
    return [_read(connection, row) for row in connection.execute(NEWEST, (limit,)).fetchall()]


def one(connection: Connection, number: int) -> Run:
    """Return the run with a row number."""
    return _read(connection, connection.execute(ONE, (number,)).fetchone())


def last_whole(connection: Connection, task: str, branch: str | None) -> Run | None:
    """Return the newest completed run in which every case of a task ran; None without one."""
    branch = None if branch is None else key(branch)
    row = connection.execute(LAST_WHOLE, (key(task), branch)).fetchone()
    return None if row is None else one(connection, row[0])


def number_of(connection: Connection, run_id: str) -> int | None:
    """Return the row number of a run; None when it is not stored."""
    row = connection.execute("SELECT number FROM runs WHERE id = ?", (key(run_id),)).fetchone()
    return None if row is None else row[0]


def _read(connection: Connection, row: Row) -> Run:
    number, *values = row
    summaries = connection.execute(SUMMARIES_OF_RUN, (number,)).fetchall()
    return _RUNS.read(
        tuple(values),
        tasks=[
            _SUMMARIES.read(summary, gates=gates.of_summary(connection, number, position))
            for position, summary in enumerate(summaries)
        ],
    )
