"""The central database of a server: which workspaces there are, and who may do what in them."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from pydantic import BaseModel

from ..errors import StoreError
from .database import Connection, Database
from .keys import Keys, Sessions
from .schema import Schema
from .table import Table, key


def _first_tables(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE workspaces (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            data TEXT NOT NULL
        )"""
    )
    connection.execute(
        """CREATE TABLE api_keys (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            workspace TEXT NOT NULL REFERENCES workspaces (id),
            sha256 TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            expires_at TEXT,
            last_used_at TEXT,
            revoked_at TEXT,
            data TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX api_keys_by_workspace ON api_keys (workspace)")


def _sessions(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE sessions (
            sha256 TEXT NOT NULL PRIMARY KEY,
            key_id TEXT NOT NULL REFERENCES api_keys (id),
            expires_at TEXT NOT NULL
        )"""
    )


#: The name of the database, and what it holds. Its mark is "KAIC".
NAME = "central"
CENTRAL = Schema(0x4B414943, (_first_tables, _sessions))


class Workspace(BaseModel, defer_build=True):
    """A tenant: it has a database of its own, so the ids of another are not there.

    Attributes:
        id: Names its database.
        name: What people call it.
        keep_days: Traces older than so many days are deleted; None keeps them.
        keep_bytes: The oldest traces are deleted while the workspace holds more; None for no bound.
    """

    id: str
    name: str
    created_at: datetime
    keep_days: float | None = None
    keep_bytes: int | None = None


_WORKSPACES = Table("workspaces", Workspace, columns=("id", "name", "created_at"))
_SELECT = f"SELECT {_WORKSPACES.fields} FROM workspaces"


class Central:
    """Workspaces and keys.

    All methods raise ``StoreError`` when the database cannot be read or written.

    Attributes:
        keys: The API keys of all workspaces.
        sessions: What people opened with them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.keys = Keys(database)
        self.sessions = Sessions(database)

    def create_workspace(self, name: str) -> Workspace:
        """Make a workspace.

        Raises:
            StoreError: The name is taken, or empty.
        """
        if not name.strip():
            raise StoreError("a workspace needs a name", path=self._database.path)
        # A letter first: it becomes part of a file's and a schema's name.
        made = Workspace(id=f"w{os.urandom(8).hex()}", name=key(name), created_at=datetime.now(UTC))
        with self._database.write() as connection:
            try:
                connection.execute(_WORKSPACES.insert, _WORKSPACES.row(made))
            except connection.IntegrityError:
                raise StoreError(f"there is a workspace {name!r} already", path=self._database.path) from None
        return made

    def workspaces(self) -> list[Workspace]:
        """Return all workspaces, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT} ORDER BY number").fetchall()
        return [_WORKSPACES.read(row) for row in rows]

    def workspace(self, given: str) -> Workspace | None:
        """Return a workspace by its id or name; None when there is none."""
        with self._database.read() as connection:
            query = f"{_SELECT} WHERE id = ?1 OR name = ?1"
            row = connection.execute(query, (key(given),)).fetchone()
        return None if row is None else _WORKSPACES.read(row)

    def save_workspace(self, workspace: Workspace) -> None:
        """Store what a workspace has become.

        Raises:
            StoreError: Its new name is taken.
        """
        with self._database.write() as connection:
            values = (*_WORKSPACES.changes(workspace), workspace.id)
            try:
                connection.execute(f"{_WORKSPACES.update} WHERE id = ?", values)
            except connection.IntegrityError:
                raise StoreError(
                    f"there is a workspace {workspace.name!r} already", path=self._database.path
                ) from None

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
