"""Databases as schemas of one PostgreSQL database."""

from __future__ import annotations

from ..database import Database
from ..schema import Schema
from ..search import Search
from .database import PostgresDatabase
from .pool import PostgresPool
from .search import PostgresSearch


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
