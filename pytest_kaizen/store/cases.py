"""Cases."""

from __future__ import annotations

from ..models import Case
from . import gates, traces
from .database import Connection
from .table import Table, key
from .traces import Place

_CASES = Table(
    "cases",
    Case,
    keys=("run",),
    columns=("id", "task", "outcome", "complete"),
    elsewhere=("run_id", "samples", "gates"),
)
_START = (
    f"{_CASES.insert} ON CONFLICT (run, id) DO UPDATE SET task = excluded.task, outcome = excluded.outcome, "
    "complete = excluded.complete, data = excluded.data, attempt = cases.attempt + 1"
)
PLACE = (
    "SELECT cases.number, cases.attempt FROM runs JOIN cases ON cases.run = runs.number "
    "WHERE runs.id = ? AND cases.id = ?"
)
OF_RUN = f"SELECT cases.number, attempt, {_CASES.fields} FROM cases WHERE run = ? ORDER BY number"


def start(connection: Connection, run: int, case: Case) -> Place:
    """Store that a case has begun, or has begun again; return where its samples belong.

    It counts as incomplete until it is finished, so that a crash does not leave it looking done.
    """
    connection.execute(_START, (run, *_CASES.row(case.model_copy(update={"complete": False}))))
    where = place(connection, case)
    assert where is not None
    if where.attempt > 1:
        gates.replace_of_case(connection, where.case, [])
    return where


def place(connection: Connection, case: Case) -> Place | None:
    """Return where the samples of a case belong; None when it was never started."""
    row = connection.execute(PLACE, (key(case.run_id), key(case.id))).fetchone()
    return None if row is None else Place(*row)


def finish(connection: Connection, number: int, case: Case) -> None:
    """Store the outcome and the gates of a case."""
    connection.execute(f"{_CASES.update} WHERE number = ?", (*_CASES.changes(case), number))
    gates.replace_of_case(connection, number, case.gates)


def of_run(connection: Connection, run: int, run_id: str) -> list[Case]:
    """Return the cases of a run in the order they began, each with its last attempt's samples."""
    rows = connection.execute(OF_RUN, (run,)).fetchall()
    return [
        _CASES.read(
            tuple(values),
            run_id=run_id,
            samples=traces.samples(connection, Place(number, attempt)),
            gates=gates.of_case(connection, number),
        )
        for number, attempt, *values in rows
    ]
