"""The version of a database file, and the steps to the newest.

How many steps a file has taken is SQLite's ``user_version``.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..schema import Schema
from . import problems


def version(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """Return how many steps the database has taken.

    Raises:
        StoreError: It is another program's, or a newer release has written it.
    """
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner != schema.mark:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner or found or tables:
            raise problems.foreign(path)
    if found > len(schema.steps):
        raise problems.newer(path, found, len(schema.steps))
    return found


def migrate(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Take all the steps that the database has not taken, or none.

    Raises:
        StoreError: It is another program's, or a newer release has written it.
    """
    # One transaction even when nothing is to be done: it shows whether the file can be written at all.
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = version(connection, path, schema)
        if found < len(schema.steps):
            schema.take_steps(connection, found)
            connection.execute(f"PRAGMA application_id = {schema.mark}")
            connection.execute(f"PRAGMA user_version = {len(schema.steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
