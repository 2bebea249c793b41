"""A PostgreSQL connection that takes the store's statements and values as SQLite takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

from .dialect import translated

#: What PostgreSQL's texts cannot hold.
_NUL = "\0"
_REPLACEMENT = "\ufffd"
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


class PostgresCursor(psycopg.RawCursor[Any]):
    """A cursor whose statements have PostgreSQL's own placeholders."""

    lastrowid: int | None = None


class PostgresConnection:
    """Executes the store's statements on a connection."""

    IntegrityError: type[Exception] = psycopg.IntegrityError

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Sequence[Any] = (), /) -> PostgresCursor:
        """Execute a statement."""
        cursor = PostgresCursor(self._raw)
        cursor.execute(translated(sql), [_value(value) for value in params] or None)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> PostgresCursor:
        """Execute a statement once for each row of parameters."""
        cursor = PostgresCursor(self._raw)
        cursor.executemany(translated(sql), [[_value(value) for value in row] for row in rows])
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
