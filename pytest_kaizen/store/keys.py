"""API keys: made once, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from ..errors import StoreError
from .database import Database
from .table import Table, key, utc_text

PREFIX = "kz_"
_SECRET_BYTES = 32
#: A key's last use is written down when it is so much later than what is written there.
_USE_GRAIN = timedelta(minutes=1)


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
_SELECT = f"SELECT {_KEYS.fields} FROM api_keys"


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
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        made = ApiKey(
            id=f"key_{os.urandom(8).hex()}",
            workspace=workspace,
            label=label,
            start=secret[: len(PREFIX) + 4],
            scopes=tuple(scope for scope in Scope if scope in set(scopes)),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        if not made.scopes:
            raise StoreError("a key needs a scope: read, write or admin", path=self._database.path)
        with self._database.write() as connection:
            try:
                connection.execute(_KEYS.insert, (_hash(secret), *_KEYS.row(made)))
            except connection.IntegrityError:
                raise StoreError(f"there is no workspace {workspace!r}", path=self._database.path) from None
        return made, secret

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with a secret, whatever its state; None for one that was never made here."""
        with self._database.read() as connection:
            row = connection.execute(f"{_SELECT} WHERE sha256 = ?", (_hash(secret),)).fetchone()
        return None if row is None else _KEYS.read(row)

    def list(self, workspace: str | None = None) -> list[ApiKey]:
        """Return the keys of a workspace (its id) or of all, the oldest first."""
        where, params = ("", ()) if workspace is None else (" WHERE workspace = ?", (key(workspace),))
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT}{where} ORDER BY number", params).fetchall()
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
            row = connection.execute(f"{_SELECT} WHERE id = ?", (key(key_id),)).fetchone()
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
