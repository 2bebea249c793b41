"""Runs with their summaries by task, their cases, and the gates of both."""

from __future__ import annotations

from ..models import Case, GateResult, Run, TaskSummary
from . import traces
from .database import Connection, insert
from .table import Row, Table, key
from .traces import Place

_GATES = Table(
    "gates",
    GateResult,
    keys=("run", "case_number", "summary", "position"),
    columns=("task", "name", "figure", "outcome"),
)
GATES_OF_CASE = f"SELECT {_GATES.fields} FROM gates WHERE case_number = ? ORDER BY position"
GATES_OF_SUMMARY = f"SELECT {_GATES.fields} FROM gates WHERE run = ? AND summary = ? ORDER BY position"

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

_CASES = Table(
    "cases",
    Case,
    keys=("run",),
    columns=("id", "task", "outcome", "complete"),
    elsewhere=("run_id", "samples", "gates"),
)
_BEGIN = f"{_CASES.insert} ON CONFLICT (run, id) DO NOTHING"
_BEGIN_AGAIN = (
    f"{_CASES.insert} ON CONFLICT (run, id) DO UPDATE SET task = excluded.task, outcome = excluded.outcome, "
    "complete = excluded.complete, data = excluded.data, attempt = cases.attempt + 1 "
    "RETURNING number, attempt"
)
PLACE = (
    "SELECT cases.number, cases.attempt FROM runs JOIN cases ON cases.run = runs.number "
    "WHERE runs.id = ? AND cases.id = ?"
)
ONE_CASE = f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? AND id = ?"
CASES_OF_RUN = f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? ORDER BY number"
CASES_OF_TASK = (
    f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? AND task = ? ORDER BY number"
)


def delete_gates_of_case(connection: Connection, case: int) -> None:
    """Remove the gates of a case."""
    connection.execute("DELETE FROM gates WHERE case_number = ?", (case,))


def add_gates_of_case(connection: Connection, case: int, gates: list[GateResult]) -> None:
    """Store the gates of a case that has none."""
    _GATES.insert_all(connection, gates, None, case, None)


def add_gates_of_summary(connection: Connection, run: int, summary: int, gates: list[GateResult]) -> None:
    """Store the gates of a task in a run."""
    _GATES.insert_all(connection, gates, run, None, summary)


def delete_gates_of_summaries(connection: Connection, run: int) -> None:
    """Remove the gates of all tasks in a run."""
    connection.execute("DELETE FROM gates WHERE run = ? AND summary IS NOT NULL", (run,))


def gates_of_case(connection: Connection, case: int) -> list[GateResult]:
    """Return the gates of a case, in order."""
    return [_GATES.read(row) for row in connection.execute(GATES_OF_CASE, (case,)).fetchall()]


def gates_of_summary(connection: Connection, run: int, summary: int) -> list[GateResult]:
    """Return the gates of a task in a run, in order."""
    return [_GATES.read(row) for row in connection.execute(GATES_OF_SUMMARY, (run, summary)).fetchall()]


def add(connection: Connection, run: Run) -> None:
    """Store a new run."""
    number = insert(connection, _RUNS.insert, _RUNS.row(run))
    assert number is not None
    _add_summaries(connection, number, run.tasks)


def update(connection: Connection, number: int, run: Run) -> None:
    """Store what a run has become, in place of what it was."""
    delete_gates_of_summaries(connection, number)
    connection.execute("DELETE FROM task_summaries WHERE run = ?", (number,))
    connection.execute(f"{_RUNS.update} WHERE number = ?", (*_RUNS.changes(run), number))
    _add_summaries(connection, number, run.tasks)


def _add_summaries(connection: Connection, run: int, summaries: list[TaskSummary]) -> None:
    _SUMMARIES.insert_all(connection, summaries, run)
    for position, summary in enumerate(summaries):
        add_gates_of_summary(connection, run, position, summary.gates)


def newest(connection: Connection, limit: int) -> list[Run]:
    """Return runs, the newest first."""
    return [_read_run(connection, row) for row in connection.execute(NEWEST, (limit,)).fetchall()]


def one(connection: Connection, number: int) -> Run:
    """Return the run with a row number."""
    return _read_run(connection, connection.execute(ONE, (number,)).fetchone())


def last_whole(connection: Connection, task: str, branch: str | None) -> Run | None:
    """Return the newest completed run in which every case of a task ran; None without one."""
    branch = None if branch is None else key(branch)
    row = connection.execute(LAST_WHOLE, (key(task), branch)).fetchone()
    return None if row is None else one(connection, row[0])


def number_of(connection: Connection, run_id: str) -> int | None:
    """Return the row number of a run; None when it is not stored."""
    row = connection.execute("SELECT number FROM runs WHERE id = ?", (key(run_id),)).fetchone()
    return None if row is None else row[0]


def _read_run(connection: Connection, row: Row) -> Run:
    number, *values = row
    summaries = connection.execute(SUMMARIES_OF_RUN, (number,)).fetchall()
    return _RUNS.read(
        tuple(values),
        tasks=[
            _SUMMARIES.read(summary, gates=gates_of_summary(connection, number, position))
            for position, summary in enumerate(summaries)
        ],
    )


def start_case(connection: Connection, run: int, case: Case) -> Place:
    """Store a case that has begun, or has begun again; return where its samples belong."""
    values = (run, *_CASES.row(case))
    number = insert(connection, _BEGIN, values)
    if number is None:
        where = Place(*connection.execute(_BEGIN_AGAIN, values).fetchone())
        delete_gates_of_case(connection, where.case)
    else:
        where = Place(number, 1)
    add_gates_of_case(connection, where.case, case.gates)
    return where


def place_of(connection: Connection, case: Case) -> Place | None:
    """Return where the samples of a case belong; None when it was never started."""
    row = connection.execute(PLACE, (key(case.run_id), key(case.id))).fetchone()
    return None if row is None else Place(*row)


def finish_case(connection: Connection, number: int, case: Case) -> None:
    """Store the outcome and the gates of a case."""
    connection.execute(f"{_CASES.update} WHERE number = ?", (*_CASES.changes(case), number))
    delete_gates_of_case(connection, number)
    add_gates_of_case(connection, number, case.gates)


def cases_of(connection: Connection, run: int, run_id: str) -> list[Case]:
    """Return the cases of a run in the order they began, each with its last attempt's samples."""
    return [
        _read_case(connection, run_id, row) for row in connection.execute(CASES_OF_RUN, (run,)).fetchall()
    ]


def case_outlines(connection: Connection, run: int, run_id: str, task: str) -> list[Case]:
    """Return the cases of a task in a run, with their samples but without what these did."""
    samples = traces.outlines(connection, run, task)
    rows = connection.execute(CASES_OF_TASK, (run, key(task))).fetchall()
    return [
        _CASES.read(
            tuple(values),
            run_id=run_id,
            samples=samples.get(number, []),
            gates=gates_of_case(connection, number),
        )
        for number, _, *values in rows
    ]


def one_case(
    connection: Connection, run: int, run_id: str, case_id: str, *, whole: bool = True
) -> Case | None:
    """Return a case of a run, with its last attempt's samples if ``whole``; None when there is none."""
    row = connection.execute(ONE_CASE, (run, key(case_id))).fetchone()
    return None if row is None else _read_case(connection, run_id, row, whole=whole)


def _read_case(connection: Connection, run_id: str, row: Row, *, whole: bool = True) -> Case:
    number, attempt, *values = row
    return _CASES.read(
        tuple(values),
        run_id=run_id,
        samples=traces.samples(connection, Place(number, attempt)) if whole else [],
        gates=gates_of_case(connection, number),
    )
