"""Where a server keeps its databases: a folder of SQLite files, or a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from .address import local_path
from .database import Database
from .opening import require_driver
from .schema import Schema
from .search import Search


class Home(Protocol):
    """Opens databases by name. They are durable: what was committed is on the disk."""

    @property
    def search(self) -> Search:
        """How full text is indexed and found here."""

    def open(self, name: str, schema: Schema) -> Database:
        """Open a database, making it when it is absent.

        Args:
            name: Lower-case letters, digits and underscores.
            schema: The tables it is to hold.

        Raises:
            StoreError: It cannot be opened or made.
        """

    def close(self) -> None:
        """Let go of what the databases share."""


def open_home(where: Path | str, *, timeout: float, connections: int) -> Home:
    """Return what keeps a server's databases.

    Args:
        where: A folder, ``sqlite:///`` and its path, or ``postgresql://…``.
        timeout: Seconds to wait for another process that writes.
        connections: At most so many to a PostgreSQL server.

    Raises:
        ConfigError: ``where`` is the URL of something else.
        StoreError: The server cannot be reached, or its driver is not installed.
    """
    folder = local_path(where)
    if folder is not None:
        from .sqlite.home import SQLiteHome

        return SQLiteHome(folder, timeout=timeout)
    require_driver()
    from .postgres.home import PostgresHome

    return PostgresHome(str(where), timeout=timeout, connections=connections)
