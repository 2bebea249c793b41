"""Traces with their spans and scores, and the samples that they are of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from ..models import Sample, Score, Span, Trace
from .database import Connection, insert
from .table import Row, Table, key

#: A sample has one trace and lies in its row.
_SAMPLES = Table("traces", Sample, columns=("passed",), elsewhere=("trace",), data="verdict")
_TRACES = Table(
    "traces",
    Trace,
    keys=("correlation_id", "case_number", "attempt", *_SAMPLES.columns),
    columns=("id", "run_id", "task", "case_id", "sample", "name", "created_at", "error"),
    elsewhere=("spans", "scores"),
)
_SPANS = Table(
    "spans",
    Span,
    keys=("trace", "position"),
    columns=(
        "id",
        "parent_id",
        "name",
        "kind",
        "provider",
        "model",
        "cost_usd",
        "started_at",
        "latency_ms",
        "replayed",
        "error",
    ),
)
_SCORES = Table(
    "scores",
    Score,
    keys=("trace", "position"),
    columns=("name", "value", "source", "rubric", "error"),
)
_BY_CASE = {
    "run_id": (
        "case_number IN (SELECT cases.number FROM cases JOIN runs ON runs.number = run WHERE runs.id = ?)"
    ),
    "case_id": "case_number IN (SELECT number FROM cases WHERE id = ?)",
}
_INSERT_NEW = f"{_TRACES.insert} ON CONFLICT (id) DO NOTHING"
#: Leaves out what an optimisation made: it is no result of anybody's program.
NOT_OF_JOB = "job_id IS NULL"
CORRELATED = (
    f"SELECT traces.created_at, traces.number, {_TRACES.fields} FROM traces WHERE correlation_id = ? "
    "OR (id = ? AND correlation_id IS NULL)"
)
_NUMBER = "SELECT number FROM traces WHERE id = ?"
SAMPLES = (
    f"SELECT {_SAMPLES.fields}, traces.number, {_TRACES.fields} FROM traces "
    "WHERE case_number = ? AND attempt = ? ORDER BY number"
)
OUTLINES = (
    f"SELECT case_number, {_SAMPLES.fields}, {_TRACES.fields} FROM traces JOIN cases "
    "ON cases.number = case_number AND cases.attempt = traces.attempt "
    "WHERE cases.run = ? AND cases.task = ? ORDER BY traces.sample, traces.number"
)
SAMPLE = f"SELECT {_SAMPLES.fields}, traces.number, {_TRACES.fields} FROM traces WHERE id = ?"
ONE = f"SELECT traces.number, {_TRACES.fields} FROM traces WHERE number = ?"
_PARTS = "SELECT trace, {} FROM {} WHERE trace IN ({}) ORDER BY trace, position"
SPANS_OF_TRACE = _PARTS.format(_SPANS.fields, "spans", "?")
SCORES_OF_TRACE = _PARTS.format(_SCORES.fields, "scores", "?")
#: The newest traces, of which another order than that of time is made: it needs a look at each of them.
SORTED_TRACES = 10_000
_SORTED_BY = {
    "trace": "id",
    "when": "created_at",
    "task": "task",
    "name": "name",
    "error": "error",
    "spans": "(SELECT COUNT(*) FROM spans WHERE trace = newest.number)",
    "scores": "(SELECT AVG(value) FROM scores WHERE trace = newest.number)",
}
#: Traces whose spans are read together: a query each would be a way to the server and back each.
_TOGETHER = 200


class Place(NamedTuple):
    """What a sample is of: the row number of a case and its attempt, counted from 1."""

    case: int
    attempt: int


class Page(NamedTuple):
    """Some traces of a long list.

    Attributes:
        traces: The newest first.
        ends: For each, what a page that begins after it is asked for with.
        more: Others follow.
    """

    traces: list[Trace]
    ends: list[str]
    more: bool


def add_sample(connection: Connection, place: Place, sample: Sample) -> None:
    """Store a sample with its trace; one that is stored already is left as it is."""
    _add(connection, (*place, *_SAMPLES.row(sample)), sample.trace)


def add(connection: Connection, trace: Trace) -> bool:
    """Store a trace that is of no case; return False when its id is there already."""
    return _add(connection, (None, None, *(None for _ in _SAMPLES.columns)), trace)


def add_rollout(connection: Connection, job_id: str, trace: Trace) -> None:
    """Store what a job made a case do; lists leave it out, and it is found by its id."""
    if add(connection, trace):
        connection.execute("UPDATE traces SET job_id = ? WHERE id = ?", (key(job_id), key(trace.id)))


def _add(connection: Connection, owner: Row, trace: Trace) -> bool:
    number = insert(connection, _INSERT_NEW, (_correlation(trace), *owner, *_TRACES.row(trace)))
    if number is None:
        return False
    _SPANS.insert_all(connection, trace.spans, number)
    _SCORES.insert_all(connection, trace.scores, number)
    return True


def number_of(connection: Connection, trace_id: str) -> int | None:
    """Return the row number of a trace by its whole id; None when there is no such trace."""
    row = connection.execute(_NUMBER, (key(trace_id),)).fetchone()
    return None if row is None else row[0]


def replace(connection: Connection, number: int, trace: Trace) -> None:
    """Store what the trace with a row number has become; what it is a sample of stays."""
    values = (*_TRACES.changes(trace), _correlation(trace), number)
    connection.execute(f"{_TRACES.update}, correlation_id = ? WHERE number = ?", values)
    connection.execute("DELETE FROM spans WHERE trace = ?", (number,))
    connection.execute("DELETE FROM scores WHERE trace = ?", (number,))
    _SPANS.insert_all(connection, trace.spans, number)
    _SCORES.insert_all(connection, trace.scores, number)


def make_sample(connection: Connection, number: int, place: Place, sample: Sample) -> None:
    """Make the trace with a row number the one of a sample."""
    query = "UPDATE traces SET case_number = ?, attempt = ?, passed = ?, verdict = ? WHERE number = ?"
    connection.execute(query, (*place, *_SAMPLES.row(sample), number))


def delete(connection: Connection, number: int) -> str:
    """Delete the trace with a row number and return its id."""
    for table in ("spans", "scores", "annotations"):
        connection.execute(f"DELETE FROM {table} WHERE trace = ?", (number,))
    row = connection.execute("DELETE FROM traces WHERE number = ? RETURNING id", (number,)).fetchone()
    return str(row[0])


def add_score(connection: Connection, number: int, score: Score) -> None:
    """Store one more score of the trace with a row number."""
    position: int = connection.execute(
        "SELECT COALESCE(MAX(position) + 1, 0) FROM scores WHERE trace = ?", (number,)
    ).fetchone()[0]
    connection.execute(_SCORES.insert, (number, position, *_SCORES.row(score)))


def samples(connection: Connection, place: Place) -> list[Sample]:
    """Return the samples of an attempt at a case, in the order of their numbers."""
    found = [_sample(connection, row) for row in connection.execute(SAMPLES, place).fetchall()]
    # They were stored in the order in which they ended.
    return sorted(found, key=lambda sample: sample.trace.sample)


def outlines(connection: Connection, run: int, task: str) -> dict[int, list[Sample]]:
    """Return the samples of a task's cases in a run, by the case's row number, without spans and scores."""
    split = len(_SAMPLES.columns)
    found: dict[int, list[Sample]] = {}
    for case, *values in connection.execute(OUTLINES, (run, key(task))).fetchall():
        trace = _TRACES.read(tuple(values[split:]), spans=[], scores=[])
        found.setdefault(case, []).append(_SAMPLES.read(tuple(values[:split]), trace=trace))
    return found


def sample(connection: Connection, trace_id: str) -> Sample | None:
    """Return the sample that a trace is of, by the whole id; None when there is no such trace."""
    row = connection.execute(SAMPLE, (trace_id,)).fetchone()
    return None if row is None else _sample(connection, row)


def _sample(connection: Connection, row: Row) -> Sample:
    split = len(_SAMPLES.columns)
    return _SAMPLES.read(row[:split], trace=_read(connection, row[split:]))


def one(connection: Connection, number: int) -> Trace:
    """Return the trace with a row number."""
    return _read(connection, connection.execute(ONE, (number,)).fetchone())


def some(connection: Connection, numbers: Sequence[int]) -> dict[int, Trace]:
    """Return the traces with these row numbers, by them; not more than one statement takes values."""
    if not numbers:
        return {}
    marks = ", ".join("?" * len(numbers))
    query = f"SELECT traces.number, {_TRACES.fields} FROM traces WHERE number IN ({marks})"
    rows = connection.execute(query, numbers).fetchall()
    return dict(zip((row[0] for row in rows), _read_all(connection, rows), strict=True))


def list_query(filters: Collection[str]) -> str:
    """Make the query for a list, newest first; its parameters are the filters' values and a limit."""
    # The traces of a run or a case are few: found through the case and then sorted. The empty text
    # keeps SQLite from walking all traces, or all of the task, in the order of time instead.
    bare = " || ''" if "run_id" in filters or "case_id" in filters else ""
    wanted = [f"task{bare} = ?" if name == "task" else _BY_CASE[name] for name in filters]
    where = " AND ".join([*wanted, NOT_OF_JOB])
    return (
        f"SELECT traces.number, {_TRACES.fields} FROM traces WHERE {where} "
        f"ORDER BY created_at{bare} DESC, number DESC LIMIT ?"
    )


def newest(connection: Connection, filters: dict[str, str], limit: int) -> list[Trace]:
    """Return traces, the newest first.

    Args:
        connection: The database.
        filters: What ``run_id``, ``case_id`` and ``task`` must be; those left out may be anything.
        limit: At most so many.
    """
    rows = connection.execute(list_query(filters), (*filters.values(), limit)).fetchall()
    return _read_all(connection, rows)


def page(
    connection: Connection, task: str | None, provider: str | None, limit: int, after: str | None
) -> Page:
    """Return a page of traces; see ``Intake.page``."""
    wheres: list[str] = ["TRUE"]
    values: list[Any] = []
    if task is not None:
        wheres.append("task = ?")
        values.append(key(task))
    if provider is not None:
        wheres.append("EXISTS (SELECT 1 FROM spans WHERE trace = traces.number AND provider = ?)")
        values.append(key(provider))
    if after is not None:
        moment, _, number = after.rpartition("|")
        wheres.append("(created_at, traces.number) < (?, ?)")
        values += [key(moment), int(number)]
    query = (
        f"SELECT traces.number, {_TRACES.fields} FROM traces WHERE {' AND '.join(wheres)} "
        "ORDER BY created_at DESC, traces.number DESC LIMIT ?"
    )
    rows = connection.execute(query, (*values, limit + 1)).fetchall()
    shown = rows[:limit]
    position = 1 + _TRACES.columns.index("created_at")
    ends = [f"{row[position]}|{row[0]}" for row in shown]
    return Page(_read_all(connection, shown), ends, more=len(rows) > limit)


def ordered(connection: Connection, by: str, task: str | None, limit: int, skip: int) -> list[Trace]:
    """Return some of the newest traces in another order; see ``Intake.ordered``."""
    where, values = ("TRUE", ()) if task is None else ("task = ?", (key(task),))
    way = "DESC" if by.startswith("-") else "ASC"
    query = (
        f"SELECT number, {_SORTED_BY[by.removeprefix('-')]} AS value FROM "
        f"(SELECT number, id, created_at, task, name, error FROM traces WHERE {where} "
        "ORDER BY created_at DESC, number DESC LIMIT ?) AS newest "
        f"ORDER BY value {way} NULLS LAST, created_at DESC, number DESC LIMIT ? OFFSET ?"
    )
    rows = connection.execute(query, (*values, SORTED_TRACES, limit, skip)).fetchall()
    numbers = [row[0] for row in rows]
    found = some(connection, numbers)
    return [found[number] for number in numbers]


def correlated(connection: Connection, correlation_ids: Iterable[str]) -> list[Trace]:
    """Return the traces with one of these correlation ids, the newest first."""
    rows = [
        row
        for given in dict.fromkeys(correlation_ids)
        for row in connection.execute(CORRELATED, (key(given), key(given))).fetchall()
    ]
    return _read_all(connection, [row[1:] for row in sorted(rows, key=itemgetter(0, 1), reverse=True)])


def _correlation(trace: Trace) -> str | None:
    given = trace.metadata.get("correlationId")
    return key(given) if isinstance(given, str) else None


def _read(connection: Connection, row: Row) -> Trace:
    return _read_all(connection, [row])[0]


def _read_all(connection: Connection, rows: Sequence[Row]) -> list[Trace]:
    found: list[Trace] = []
    for start in range(0, len(rows), _TOGETHER):
        group = rows[start : start + _TOGETHER]
        numbers = [row[0] for row in group]
        spans, scores = _parts(connection, _SPANS, numbers), _parts(connection, _SCORES, numbers)
        found += [
            _TRACES.read(tuple(values), spans=spans.get(number, []), scores=scores.get(number, []))
            for number, *values in group
        ]
    return found


def _parts(connection: Connection, table: Table[Any], numbers: list[int]) -> dict[int, list[Any]]:
    """Return the spans or scores of traces, by the number of their trace."""
    query = _PARTS.format(table.fields, table.name, ", ".join("?" * len(numbers)))
    parts: dict[int, list[Any]] = {}
    for number, *values in connection.execute(query, numbers).fetchall():
        parts.setdefault(number, []).append(table.read(tuple(values)))
    return parts
