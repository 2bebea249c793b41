"""Opening a database at an address; the driver of PostgreSQL is imported for its URLs only."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..errors import StoreError
from .address import local_path
from .database import Database
from .schema import Schema
from .sqlite import SQLiteDatabase

#: The schema of a store that is opened by itself, outside a server's workspaces.
_SCHEMA = "kaizen"
_POOL_SIZE = 4


def open_database(where: Path | str, schema: Schema, *, readonly: bool, timeout: float) -> Database:
    """Open a database by itself.

    Args:
        where: A path or URL, as ``address.local_path`` takes it.
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
    from .postgres import PostgresDatabase, PostgresPool

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
