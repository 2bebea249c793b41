"""The central database of a server: which workspaces there are, and who may do what in them.

An API key is made once, shown once and stored as a hash.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from ..errors import StoreError
from .database import Connection, Database, Schema
from .table import Table, key, utc_text

KEY_PREFIX = "kz_"
_SECRET_BYTES = 32
#: A key's last use is written down when it is so much later than what is written there.
_USE_GRAIN = timedelta(minutes=1)

#: The name of the database, and what it holds. Its mark is "KAIC".
NAME = "central"


class Scope(StrEnum):
    """What a key allows; one does not include another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class KeyState(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiKey(BaseModel, defer_build=True):
    """What is known of a key; its secret is not.

    Attributes:
        workspace: The id of the workspace that it opens.
        label: What people call it.
        start: The first characters of the secret, to tell keys apart in a list.
        expires_at: None for a key that does not expire.
    """

    id: str
    workspace: str
    label: str
    start: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        """Say whether it opens anything at a moment (which has a zone)."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.ACTIVE


_KEYS = Table(
    "api_keys",
    ApiKey,
    keys=("sha256",),
    columns=("id", "workspace", "created_at", "expires_at", "last_used_at", "revoked_at"),
)
_SELECT_KEYS = f"SELECT {_KEYS.fields} FROM api_keys"


class Keys:
    """The API keys of all workspaces, in the central database.

    All methods raise ``StoreError`` when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        workspace: str,
        *,
        label: str,
        scopes: Iterable[Scope],
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            workspace: The id of a workspace.
            label: What people call it.
            scopes: What it allows; one at least.
            expires_at: With a zone; None for never.

        Returns:
            What is known of it, and its secret, ``kz_`` and 256 random bits, which is not to be had again.

        Raises:
            StoreError: There is no such workspace, or no scope is given.
        """
        with self._database.write() as connection:
            return self._make(connection, workspace, label, scopes, expires_at)

    def first(
        self, workspace: str, *, label: str, active_at: datetime | None = None
    ) -> tuple[ApiKey, str] | None:
        """Make the first key of a server, with all scopes, and its workspace where it is absent.

        However many ask at once, in however many processes, one of them gets a key.

        Args:
            workspace: The name of its workspace.
            label: What people call it.
            active_at: Keys that open nothing at this moment (which has a zone) are none; by default any
                key that ever was keeps another from being the first.

        Returns:
            As ``create`` does; None when there is a key.
        """
        with self._database.write() as connection:
            for row in connection.execute(_SELECT_KEYS).fetchall():
                if active_at is None or _KEYS.read(row).state(active_at) is KeyState.ACTIVE:
                    return None
            query = f"{_SELECT_WORKSPACES} WHERE name = ?"
            row = connection.execute(query, (key(workspace),)).fetchone()
            place = _make_workspace(connection, workspace) if row is None else _WORKSPACES.read(row)
            return self._make(connection, place.id, label, Scope, None)

    def _make(
        self,
        connection: Connection,
        workspace: str,
        label: str,
        scopes: Iterable[Scope],
        expires_at: datetime | None,
    ) -> tuple[ApiKey, str]:
        secret = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        made = ApiKey(
            id=f"key_{os.urandom(8).hex()}",
            workspace=workspace,
            label=label,
            start=secret[: len(KEY_PREFIX) + 4],
            scopes=tuple(scope for scope in Scope if scope in set(scopes)),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        if not made.scopes:
            raise StoreError("a key needs a scope: read, write or admin", path=self._database.path)
        try:
            connection.execute(_KEYS.insert, (_hash(secret), *_KEYS.row(made)))
        except connection.IntegrityError:
            raise StoreError(f"there is no workspace {workspace!r}", path=self._database.path) from None
        return made, secret

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with a secret, whatever its state; None for one that was never made here."""
        with self._database.read() as connection:
            row = connection.execute(f"{_SELECT_KEYS} WHERE sha256 = ?", (_hash(secret),)).fetchone()
        return None if row is None else _KEYS.read(row)

    def list(self, workspace: str | None = None) -> list[ApiKey]:
        """Return the keys of a workspace (its id) or of all, the oldest first."""
        where, params = ("", ()) if workspace is None else (" WHERE workspace = ?", (key(workspace),))
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT_KEYS}{where} ORDER BY number", params).fetchall()
        return [_KEYS.read(row) for row in rows]

    def revoke(self, key_id: str, workspace: str | None = None) -> ApiKey | None:
        """Close a key for good; one that is revoked already stays as it is.

        Args:
            key_id: Its id.
            workspace: Only if it is this workspace's.

        Returns:
            The key; None when there is none with this id.
        """
        with self._database.write() as connection:
            row = connection.execute(f"{_SELECT_KEYS} WHERE id = ?", (key(key_id),)).fetchone()
            found = None if row is None else _KEYS.read(row)
            if found is None or workspace not in (None, found.workspace):
                return None
            if found.revoked_at is None:
                found.revoked_at = datetime.now(UTC)
                connection.execute(
                    "UPDATE api_keys SET revoked_at = ? WHERE id = ?", (utc_text(found.revoked_at), found.id)
                )
        return found

    def note_use(self, found: ApiKey, now: datetime) -> bool:
        """Write down that a key was used, to the minute; return whether it had to be written.

        It costs a transaction, so it is best done after the answer.
        """
        if found.last_used_at is not None and now - found.last_used_at < _USE_GRAIN:
            return False
        with self._database.write() as connection:
            connection.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (utc_text(now), found.id))
        found.last_used_at = now
        return True


class Sessions:
    """What people opened with their keys, in the central database.

    A session ends when it expires, when it is closed, and with its key. All methods raise ``StoreError``
    when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, key_id: str, *, now: datetime, expires_at: datetime) -> str:
        """Open a session with a key and return its secret, 256 random bits; drop those that expired."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = (_hash(secret), key(key_id), utc_text(expires_at))
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (utc_text(now),))
            connection.execute("INSERT INTO sessions (sha256, key_id, expires_at) VALUES (?, ?, ?)", row)
        return secret

    def find(self, secret: str, now: datetime) -> ApiKey | None:
        """Return the key of a session, whatever its state; None for one that has ended."""
        query = (
            f"SELECT {_KEYS.fields} FROM sessions JOIN api_keys ON api_keys.id = sessions.key_id "
            "WHERE sessions.sha256 = ? AND sessions.expires_at > ?"
        )
        with self._database.read() as connection:
            row = connection.execute(query, (_hash(secret), utc_text(now))).fetchone()
        return None if row is None else _KEYS.read(row)

    def close(self, secret: str) -> None:
        """End a session."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE sha256 = ?", (_hash(secret),))


def _hash(secret: str) -> str:
    # Without salt or rounds: nobody guesses 256 random bits.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


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
_SELECT_WORKSPACES = f"SELECT {_WORKSPACES.fields} FROM workspaces"


def _make_workspace(connection: Connection, name: str) -> Workspace:
    # A letter first: it becomes part of a file's and a schema's name.
    made = Workspace(id=f"w{os.urandom(8).hex()}", name=key(name), created_at=datetime.now(UTC))
    connection.execute(_WORKSPACES.insert, _WORKSPACES.row(made))
    return made


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
        with self._database.write() as connection:
            try:
                return _make_workspace(connection, name)
            except connection.IntegrityError:
                raise StoreError(f"there is a workspace {name!r} already", path=self._database.path) from None

    def workspaces(self) -> list[Workspace]:
        """Return all workspaces, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT_WORKSPACES} ORDER BY number").fetchall()
        return [_WORKSPACES.read(row) for row in rows]

    def workspace(self, given: str) -> Workspace | None:
        """Return a workspace by its id or name; None when there is none."""
        with self._database.read() as connection:
            query = f"{_SELECT_WORKSPACES} WHERE id = ?1 OR name = ?1"
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
