"""Connections to a PostgreSQL server, shared by all databases on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from . import problems
from .connection import PostgresConnection, adapters

#: PostgreSQL 15.
_OLDEST = 150_000
_CONNECT_TIMEOUT_S = 10


class PostgresPool:
    """Connections to one database of a server.

    Args:
        url: ``postgresql://user:password@host:port/database``.
        size: At most so many connections at once.
        timeout: Seconds to wait for one that is free.

    Raises:
        StoreError: The URL is wrong, the server cannot be reached, is too old or has no Unicode.
    """

    def __init__(self, url: str, *, size: int, timeout: float) -> None:
        self.place = problems.place(url)
        options: dict[str, Any] = {
            "autocommit": True,
            "context": adapters(),
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "kaizen",
        }
        # By itself: the pool would only say that it waited in vain.
        try:
            with psycopg.connect(url, **options) as connection:
                self._check(connection)
        except psycopg.Error as exc:
            raise problems.no_connection(self.place, exc) from None
        self._pool = ConnectionPool(
            url, kwargs=options, min_size=1, max_size=size, timeout=timeout, num_workers=1, open=True
        )

    def _check(self, connection: psycopg.Connection[Any]) -> None:
        if connection.info.server_version < _OLDEST:
            raise problems.too_old(self.place, connection.info.server_version, _OLDEST)
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise problems.not_unicode(self.place, str(encoding))

    @contextmanager
    def transaction(self, begin: str) -> Iterator[PostgresConnection]:
        """Hold a transaction.

        Args:
            begin: The statements that begin it, with ``;`` between them.

        Raises:
            psycopg.Error: It could not be begun, carried out or committed; nothing of it is stored.
        """
        raw = self._begun(begin)
        try:
            connection = PostgresConnection(raw)
            yield connection
            connection.flush()
            _commit(raw)
        except BaseException:
            with suppress(psycopg.Error):
                raw.execute("ROLLBACK")
            raise
        finally:
            self._pool.putconn(raw)

    def _begun(self, begin: str) -> psycopg.Connection[Any]:
        raw = self._pool.getconn()
        try:
            raw.execute(begin, prepare=False)
        except psycopg.OperationalError:
            lost = raw.closed
            self._pool.putconn(raw)
            if not lost:
                raise
        except BaseException:
            self._pool.putconn(raw)
            raise
        else:
            return raw
        # The server was started anew since this connection was used: the others are gone as well.
        self._pool.check()
        raw = self._pool.getconn()
        try:
            raw.execute(begin, prepare=False)
        except BaseException:
            self._pool.putconn(raw)
            raise
        return raw

    @contextmanager
    def outside(self) -> Iterator[PostgresConnection]:
        """Lend a connection without a transaction, for what cannot be done in one.

        Raises:
            psycopg.Error: A statement failed.
        """
        raw = self._pool.getconn()
        try:
            connection = PostgresConnection(raw)
            yield connection
            connection.flush()
        finally:
            self._pool.putconn(raw)

    def close(self) -> None:
        """Close all connections; a second time does nothing."""
        self._pool.close()


def _commit(raw: psycopg.Connection[Any]) -> None:
    if raw.execute("COMMIT").statusmessage != "COMMIT":
        # The error of a statement was swallowed, and the server has rolled back without another word.
        raise psycopg.errors.InFailedSqlTransaction("a statement of the transaction had failed")
