"""A PostgreSQL connection that takes the store's statements and values as SQLite takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

from .dialect import translated

#: What PostgreSQL's texts cannot hold.
_NUL = "\0"
_REPLACEMENT = "\ufffd"
_ONE_ROW = re.compile(r"\bVALUES (\((?:\?, )*\?\))$")
#: What such a statement does, or returns, is the same whether rows that are put off are there or not.
_ONE_MORE = re.compile(
    r"INSERT INTO \w+ \([^()]*\) VALUES \((?:\?, )*\?\)( ON CONFLICT \(\w+\) DO NOTHING)?( RETURNING number)?"
)
#: Rows that one statement inserts at most; a statement takes 65,535 values.
_ROWS = 64
_AS_IT_IS = frozenset({int, bytes, type(None)})


class _NumberLoader(Loader):
    """Sums and means of whole numbers as SQLite gives them, not as ``Decimal``."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdecimal() else float(text)


def adapters() -> AdaptersMap:
    """Return how values are read."""
    known = AdaptersMap(psycopg.adapters)
    known.register_loader("numeric", _NumberLoader)
    return known


class PostgresConnection:
    """Executes the store's statements on a connection.

    Rows that ``executemany`` inserts are put off until a statement comes that is more than the insertion
    of a row: the spans of many traces then go to the server together.
    """

    IntegrityError: type[Exception] = psycopg.IntegrityError

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw
        self._put_off: dict[str, list[list[Any]]] = {}

    def execute(self, sql: str, params: Sequence[Any] = (), /) -> psycopg.RawCursor[Any]:
        """Execute a statement."""
        if sql.startswith("ROLLBACK TO"):
            # All that is put off was so since the savepoint, which was a statement itself.
            self._put_off = {}
        elif self._put_off and not _ONE_MORE.fullmatch(sql):
            self.flush()
        cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(self._raw)
        cursor.execute(translated(sql), [_value(value) for value in params] or None)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> psycopg.RawCursor[Any]:
        """Execute a statement once for each row of parameters; rows of values are inserted together."""
        cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(self._raw)
        values = [[_value(value) for value in row] for row in rows]
        if _ONE_ROW.search(sql):
            self._put_off.setdefault(sql, []).extend(values)
        else:
            self.flush()
            cursor.executemany(translated(sql), values)
        return cursor

    def flush(self) -> None:
        """Insert the rows that were put off."""
        put_off, self._put_off = self._put_off, {}
        for sql, rows in put_off.items():
            one_row = _ONE_ROW.search(sql)
            assert one_row is not None
            while rows:
                # Of sizes that recur: the server plans a statement that it knows only once.
                size = min(_ROWS, 1 << (len(rows).bit_length() - 1))
                group, rows = rows[:size], rows[size:]
                many = f"{sql[: one_row.start(1)]}{', '.join([one_row[1]] * size)}"
                psycopg.RawCursor(self._raw).execute(translated(many), [v for row in group for v in row])


def _value(value: Any) -> Any:
    """Make a value what SQLite would have kept of it."""
    kind = value.__class__
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, str):
        # An enumeration's member, too, is stored as the text that it is.
        text = str.__str__(value)
        return text.replace(_NUL, _REPLACEMENT) if _NUL in text else text
    if kind is float:
        return value if value == value else None
    return int(value) if kind is bool else value
