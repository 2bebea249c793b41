"""Opening what is at an address: a database by itself, or a server's home of databases.

An address is a path or the URL of a PostgreSQL server, whose driver is imported for such URLs only.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import ConfigError, StoreError
from .database import Database, Schema
from .sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from .search import Search

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")

#: The schema of a store that is opened by itself, outside a server's workspaces.
_SCHEMA = "kaizen"
_POOL_SIZE = 4


def local_path(where: Path | str) -> Path | None:
    """Return the path that is meant, None when it is a PostgreSQL server's URL.

    Args:
        where: A path, ``sqlite:///`` with a path behind it (``sqlite:////var/kaizen`` is absolute), or
            ``postgresql://user:password@host/database``.

    Raises:
        ConfigError: It is the URL of something else.
    """
    if isinstance(where, Path):
        return where
    if where.startswith(_POSTGRES):
        return None
    if where.startswith(_SQLITE) and len(where) > len(_SQLITE):
        return Path(where.removeprefix(_SQLITE))
    if "://" in where or not where:
        # Its beginning alone: a password may follow.
        scheme = where.partition("://")[0]
        raise ConfigError(
            f"no store there: the URL begins with {scheme!r}; give sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return Path(where)


def open_database(where: Path | str, schema: Schema, *, readonly: bool, timeout: float) -> Database:
    """Open a database by itself.

    Args:
        where: A path or URL, as ``local_path`` takes it.
        schema: The tables it is to hold; they are made unless ``readonly``.
        readonly: Only read.
        timeout: Seconds to wait for another process that writes.

    Raises:
        ConfigError: ``where`` is no address of a store.
        StoreError: It cannot be opened.
    """
    path = local_path(where)
    if path is not None:
        return SQLiteDatabase(path, schema, readonly=readonly, timeout=timeout)
    require_driver()
    from .postgres import PostgresDatabase
    from .postgres.connection import PostgresPool

    pool = PostgresPool(str(where), size=_POOL_SIZE, timeout=timeout)
    return PostgresDatabase(pool, _SCHEMA, schema, readonly=readonly, timeout=timeout, owns_pool=True)


def require_driver() -> None:
    """See that PostgreSQL's driver is there.

    Raises:
        StoreError: It is not; says how to get it.
    """
    try:
        import_module("psycopg")
        import_module("psycopg_pool")
    except ImportError as exc:
        raise StoreError(
            f"a store on PostgreSQL needs {exc.name or 'psycopg'}: pip install 'pytest-kaizen[server]'"
        ) from None


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
        return SQLiteHome(folder, timeout=timeout)
    require_driver()
    from .postgres import PostgresHome

    return PostgresHome(str(where), timeout=timeout, connections=connections)


class SQLiteHome:
    """A folder with a file for each database.

    Args:
        folder: Made when it is absent.
        timeout: Seconds to wait for another process that writes.
    """

    def __init__(self, folder: Path, *, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout
        # Here: a run of tests opens its store with this module and searches nothing.
        from .search_index import SQLiteSearch

        self.search: Search = SQLiteSearch()

    def open(self, name: str, schema: Schema) -> Database:
        """Open the file of a database, making it when it is absent.

        Raises:
            StoreError: It cannot be opened or made.
        """
        path = self._folder / f"{name}.db"
        return SQLiteDatabase(path, schema, readonly=False, timeout=self._timeout, served=True)

    def close(self) -> None:
        """Nothing is shared."""
