"""Cases."""

from __future__ import annotations

from ..models import Case
from . import gates, traces
from .database import Connection, insert
from .table import Row, Table, key
from .traces import Place

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
ONE = f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? AND id = ?"
OF_RUN = f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? ORDER BY number"

OF_TASK = (
    f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? AND task = ? ORDER BY number"
)


def start(connection: Connection, run: int, case: Case) -> Place:
    """Store a case that has begun, or has begun again; return where its samples belong."""
    values = (run, *_CASES.row(case))
    number = insert(connection, _BEGIN, values)
    if number is None:
        where = Place(*connection.execute(_BEGIN_AGAIN, values).fetchone())
        gates.delete_of_case(connection, where.case)
    else:
        where = Place(number, 1)
    gates.add_of_case(connection, where.case, case.gates)
    return where


def place(connection: Connection, case: Case) -> Place | None:
    """Return where the samples of a case belong; None when it was never started."""
    row = connection.execute(PLACE, (key(case.run_id), key(case.id))).fetchone()
    return None if row is None else Place(*row)


def finish(connection: Connection, number: int, case: Case) -> None:
    """Store the outcome and the gates of a case."""
    connection.execute(f"{_CASES.update} WHERE number = ?", (*_CASES.changes(case), number))
    gates.delete_of_case(connection, number)
    gates.add_of_case(connection, number, case.gates)


def of_run(connection: Connection, run: int, run_id: str) -> list[Case]:
    """Return the cases of a run in the order they began, each with its last attempt's samples."""
    return [_read(connection, run_id, row) for row in connection.execute(OF_RUN, (run,)).fetchall()]


def outlines(connection: Connection, run: int, run_id: str, task: str) -> list[Case]:
    """Return the cases of a task in a run, with their samples but without what these did."""
    samples = traces.outlines(connection, run, task)
    rows = connection.execute(OF_TASK, (run, key(task))).fetchall()
    return [
        _CASES.read(
            tuple(values),
            run_id=run_id,
            samples=samples.get(number, []),
            gates=gates.of_case(connection, number),
        )
        for number, _, *values in rows
    ]


def one(connection: Connection, run: int, run_id: str, case_id: str, *, whole: bool = True) -> Case | None:
    """Return a case of a run, with its last attempt's samples if ``whole``; None when there is none."""
    row = connection.execute(ONE, (run, key(case_id))).fetchone()
    return None if row is None else _read(connection, run_id, row, whole=whole)


def _read(connection: Connection, run_id: str, row: Row, *, whole: bool = True) -> Case:
    number, attempt, *values = row
    return _CASES.read(
        tuple(values),
        run_id=run_id,
        samples=traces.samples(connection, Place(number, attempt)) if whole else [],
        gates=gates.of_case(connection, number),
    )
