"""What the store needs of a database and its schema, so that its SQL runs on SQLite and on PostgreSQL alike.

The SQL of the store's modules is what both understand: ``?`` (or ``?1``) for a parameter, ``ON
CONFLICT … DO …``, ``RETURNING`` instead of the last row's number, JSON as TEXT that only Python
looks into, times as ISO texts, truth as 0 and 1. Tables are declared in SQLite's types (``INTEGER``,
``REAL``, ``TEXT``, ``BLOB``; ``INTEGER PRIMARY KEY`` counts by itself). Texts are ordered by their
code points on both. What differs and is left to whoever writes a query: ``LIKE`` tells capitals
apart on PostgreSQL only, and NULL comes first on SQLite and last on PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Cursor(Protocol):
    """The outcome of a statement."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    def fetchone(self) -> Any:
        """Return the next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """Return all further rows."""


class Connection(Protocol):
    """Executes statements; ``Connection`` is one."""

    @property
    def IntegrityError(self) -> type[Exception]:  # noqa: N802 - named by Python's database API
        """Raised by a statement that breaks a rule of the schema."""

    def execute(self, sql: str, params: Sequence[Any] = ..., /) -> Cursor:
        """Execute a statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Execute a statement once for each row of parameters."""


def insert(connection: Connection, sql: str, params: Sequence[Any]) -> int | None:
    """Insert a row into a table whose rows have a ``number``.

    Returns:
        The number of the new row; None when the statement did nothing, because of a conflict.
    """
    if isinstance(connection, sqlite3.Connection):
        # It knows the number unasked, and RETURNING would cost it more.
        cursor = connection.execute(sql, params)
        return cursor.lastrowid if cursor.rowcount else None
    row = connection.execute(f"{sql} RETURNING number", params).fetchone()
    return None if row is None else row[0]


def settle(connection: Connection) -> None:
    """Do what a connection has put off, so that what fails of it fails here and not with the commit."""
    # SQLite's puts nothing off.
    flush = getattr(connection, "flush", None)
    if flush is not None:
        flush()


class Database(Protocol):
    """A place with all tables of one schema. One object serves all threads of a process.

    One transaction writes at a time, whatever the home and however many processes there are: what a
    transaction has read holds until it ends, and row numbers grow in the order of commits.
    """

    @property
    def path(self) -> Path | str:
        """The file, or where on which server; for messages."""

    def write(self) -> AbstractContextManager[Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            StoreError: It could not be stored; what was there before still is.
        """

    def read(self) -> AbstractContextManager[Connection]:
        """Hold one read transaction: all that is read is of one moment.

        Raises:
            StoreError: It could not be read.
        """

    def explained(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as what they mean to the user.

        Raises:
            StoreError: With the place and the cure.
        """

    def alone(self, purpose: str) -> AbstractContextManager[bool]:
        """Hold what one process at a time may do; the value says whether this one may.

        It ends with the process.

        Args:
            purpose: Names it: letters.

        Raises:
            StoreError: It cannot be said.
        """

    def size(self) -> int:
        """Return how many bytes it takes on the disk, without what can be used anew.

        Raises:
            StoreError: It could not be read.
        """

    def give_back(self) -> None:
        """Give the space of what was deleted back to the disk; nobody can write meanwhile.

        Raises:
            StoreError: It could not be done.
        """

    def close(self) -> None:
        """Let go of it. Closing twice is harmless."""


Migration = Callable[[Connection], None]


class Schema(NamedTuple):
    """The tables of a database.

    Attributes:
        mark: Tells a database of this schema from any other: SQLite's ``application_id``.
        steps: What makes the tables, in order; only ever added to.
    """

    mark: int
    steps: tuple[Migration, ...]

    def take_steps(self, connection: Connection, taken: int) -> None:
        """Take the steps that a database has not taken yet."""
        for step in self.steps[taken:]:
            step(connection)
