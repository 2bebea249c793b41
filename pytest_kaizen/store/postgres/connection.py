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
#: Rows that one statement inserts; a statement takes 65,535 values.
_ROWS = 100
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
    """Executes the store's statements on a connection."""

    IntegrityError: type[Exception] = psycopg.IntegrityError

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Sequence[Any] = (), /) -> psycopg.RawCursor[Any]:
        """Execute a statement."""
        cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(self._raw)
        cursor.execute(translated(sql), [_value(value) for value in params] or None)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> psycopg.RawCursor[Any]:
        """Execute a statement once for each row of parameters; rows of values are inserted together."""
        cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(self._raw)
        values = [[_value(value) for value in row] for row in rows]
        one_row = _ONE_ROW.search(sql)
        if one_row is None:
            cursor.executemany(translated(sql), values)
            return cursor
        # A statement for many rows goes to the server and back as quickly as one for a single row.
        for start in range(0, len(values), _ROWS):
            group = values[start : start + _ROWS]
            many = f"{sql[: one_row.start(1)]}{', '.join([one_row[1]] * len(group))}"
            cursor.execute(translated(many), [value for row in group for value in row])
        return cursor


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
