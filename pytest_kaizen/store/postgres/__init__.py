"""A database in a schema of a PostgreSQL server, and a server's home of them. Needs the extra ``server``.

Each transaction sets the search path for itself, so that a pooled connection serves any schema.
One that writes holds an advisory lock of its schema until it is committed, as one on SQLite holds
the file: what the store's modules read before they write stays true, and row numbers grow in the
order of commits. Transactions on other schemas don't wait for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ...errors import StoreError
from ..database import Connection, Database, Schema
from ..search import Search
from ..search_index import PostgresSearch
from . import problems
from .connection import PostgresPool

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VERSION = "kaizen_version"


class PostgresDatabase:
    """A schema, for all threads of this process.

    Args:
        pool: Connections to the server.
        name: The schema; made unless ``readonly``. Lower-case letters, digits and underscores.
        schema: The tables it is to hold.
        readonly: Only read.
        timeout: Seconds to wait for another transaction that writes.
        owns_pool: Close the pool, too.

    Raises:
        StoreError: With the place and the cure.
    """

    def __init__(
        self,
        pool: PostgresPool,
        name: str,
        schema: Schema,
        *,
        readonly: bool,
        timeout: float,
        owns_pool: bool = False,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} is no name for a schema of ours", path=pool.place)
        self.path = f"{pool.place} (schema {name})"
        self.name = name
        self.pool = pool
        self._owns_pool = owns_pool
        self._readonly = readonly
        self._closed = False
        self._lock = (
            f"SET LOCAL lock_timeout = {int(timeout * 1000)}; SELECT pg_advisory_xact_lock({_lock_key(name)})"
        )
        try:
            self._prepare(schema)
        except BaseException:
            self.close()
            raise

    def _prepare(self, schema: Schema) -> None:
        with self.explained(), self.pool.transaction(f"BEGIN; {self._lock}") as connection:
            taken = self._taken(connection, schema)
            if taken is None and self._readonly:
                raise problems.missing(self.path)
            if taken is None:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.name}")
            connection.execute(f"SET LOCAL search_path TO {self.name}")
            if taken is None:
                connection.execute(f"CREATE TABLE {_VERSION} (mark INTEGER NOT NULL, steps INTEGER NOT NULL)")
                connection.execute(f"INSERT INTO {_VERSION} VALUES (?, 0)", (schema.mark,))
            if (taken or 0) < len(schema.steps):
                schema.take_steps(connection, taken or 0)
                connection.execute(f"UPDATE {_VERSION} SET steps = ?", (len(schema.steps),))

    def _taken(self, connection: Connection, schema: Schema) -> int | None:
        """Return how many steps the schema has taken; None when there is none or an empty one."""
        query = "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ?"
        tables = {row[0] for row in connection.execute(query, (self.name,)).fetchall()}
        if not tables:
            return None
        if _VERSION not in tables:
            raise problems.foreign(self.path)
        mark, steps = connection.execute(f"SELECT mark, steps FROM {self.name}.{_VERSION}").fetchone()
        if mark != schema.mark:
            raise problems.foreign(self.path)
        if steps > len(schema.steps):
            raise problems.newer(self.path, steps, len(schema.steps))
        found: int = steps
        return found

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            StoreError: It could not be stored; what was there before still is.
        """
        if self._readonly:
            raise StoreError("is open for reading only", path=self.path)
        with self.explained(), self.pool.transaction(self._begin("READ WRITE", self._lock)) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Hold one read transaction: all that is read is of one moment.

        Raises:
            StoreError: It could not be read.
        """
        begin = self._begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with self.explained(), self.pool.transaction(begin) as connection:
            yield connection

    def _begin(self, mode: str, *more: str) -> str:
        if self._closed:
            raise StoreError("is closed", path=self.path)
        return "; ".join((f"BEGIN {mode}", f"SET LOCAL search_path TO {self.name}", *more))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise PostgreSQL's errors as what they mean to the user.

        Raises:
            StoreError: With the place and the cure.
        """
        try:
            yield
        except psycopg.Error as exc:
            raise problems.from_postgres(exc, self.path) from exc
        except (ValueError, TypeError, OverflowError) as exc:
            raise StoreError(f"cannot be stored or read: {exc}", path=self.path) from exc

    @contextmanager
    def alone(self, purpose: str) -> Iterator[bool]:
        """Hold what one process at a time may do; the value says whether this one may.

        Raises:
            StoreError: The server cannot be asked.
        """
        key = _lock_key(f"{self.name} {purpose}")
        with self.pool.outside() as connection:
            with self.explained():
                answer = connection.execute("SELECT pg_try_advisory_lock(?)", (key,)).fetchone()
            held = answer == (True,)
            try:
                yield held
            finally:
                if held:
                    with self.explained():
                        connection.execute("SELECT pg_advisory_unlock(?)", (key,))

    def size(self) -> int:
        """Return how many bytes it takes on the server's disk.

        Raises:
            StoreError: It could not be read.
        """
        with self.read() as connection:
            total: int = connection.execute(
                "SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0) FROM pg_class "
                "WHERE relkind = 'r' AND relnamespace = CAST(current_schema AS regnamespace)"
            ).fetchone()[0]
        return total

    def give_back(self) -> None:
        """Give the space of what was deleted back to the disk; nobody can read or write meanwhile.

        Raises:
            StoreError: It could not be done.
        """
        with self.read() as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema"
            tables = [row[0] for row in connection.execute(query).fetchall()]
        with self.explained(), self.pool.outside() as connection:
            for table in tables:
                connection.execute(f'VACUUM (FULL, ANALYZE) {self.name}."{table}"')

    def close(self) -> None:
        """Let go of the schema. Closing twice is harmless."""
        self._closed = True
        if self._owns_pool:
            self.pool.close()


def _lock_key(name: str) -> int:
    digest = hashlib.sha256(f"kaizen schema {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class PostgresHome:
    """A schema for each database, on connections that all of them share.

    Args:
        url: ``postgresql://user:password@host:port/database``.
        timeout: Seconds to wait for another process that writes, or for a free connection.
        connections: At most so many.

    Raises:
        StoreError: The server cannot be reached or is too old.
    """

    def __init__(self, url: str, *, timeout: float, connections: int) -> None:
        self._pool = PostgresPool(url, size=connections, timeout=timeout)
        self._timeout = timeout
        self.search: Search = PostgresSearch()

    def open(self, name: str, schema: Schema) -> Database:
        """Open the schema of a database, making it when it is absent.

        Raises:
            StoreError: It cannot be opened or made.
        """
        return PostgresDatabase(self._pool, f"kaizen_{name}", schema, readonly=False, timeout=self._timeout)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
