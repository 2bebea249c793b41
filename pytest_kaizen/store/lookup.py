"""Finding one run or trace by what a person types: its id or the beginning of it."""

from __future__ import annotations

from pathlib import Path

from ..errors import StoreError
from .database import Connection
from .table import key

_SHOWN = 5
_LAST_CHARACTER = "\U0010ffff"
#: What ``last`` is the last one of: what a program recorded outside pytest is no session, and what an
#: optimisation made is no result of anybody's program.
_COUNTS = {"runs": "WHERE kind = 'tests' ", "traces": "WHERE job_id IS NULL "}


def newest_query(table: str) -> str:
    """Make the query for the newest ids, of those that count; its parameter is a limit."""
    which = _COUNTS.get(table, "")
    return f"SELECT number, id FROM {table} {which}ORDER BY created_at DESC, number DESC LIMIT ?"


def beginning_query(table: str) -> str:
    """Make the query for ids from one on and below another; its parameters are these and a limit."""
    return f"SELECT number, id FROM {table} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"


def find(connection: Connection, path: Path | str, table: str, given: str) -> int:
    """Return the number of the row that is meant.

    Args:
        connection: The database.
        path: Where it is, for messages.
        table: ``runs`` or ``traces``.
        given: An id, an unambiguous beginning of one, or ``last`` for the newest.

    Raises:
        StoreError: Nothing or more than one thing is meant; says what there is.
    """
    newest = newest_query(table)
    if given == "last":
        found = connection.execute(newest, (1,)).fetchall()
    else:
        found = connection.execute(f"SELECT number, id FROM {table} WHERE id = ?", (key(given),)).fetchall()
        if not found and given:
            found = connection.execute(
                beginning_query(table), (key(given), key(given) + _LAST_CHARACTER, _SHOWN + 1)
            ).fetchall()
    if len(found) == 1:
        number: int = found[0][0]
        return number
    what = table.removesuffix("s")
    if found:
        raise StoreError(f"{what} {given!r} is ambiguous: {_ids(found)}; give more of the id", path=path)
    there = connection.execute(newest, (_SHOWN + 1,)).fetchall()
    if not there:
        raise StoreError(f"no {what} {given!r}; the store holds no {table} yet", path=path)
    raise StoreError(f"no {what} {given!r}; the newest are {_ids(there)}", path=path)


def _ids(rows: list[tuple[int, str]]) -> str:
    return ", ".join(row[1] for row in rows[:_SHOWN]) + (", …" if len(rows) > _SHOWN else "")
