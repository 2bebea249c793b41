"""Secrets in the store: encrypted, shown masked, and read where they are used."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from pydantic import SecretStr

from ..errors import ConfigError, StoreError
from . import secret_key
from .database import Database
from .table import key

MASK = "****"
_MASKED = re.compile(r"\*{4}|.{4}\*{4}.{4}", re.DOTALL)
#: Of a longer one more than half stays hidden.
_SHORT = 16
_ONE = "SELECT token FROM sealed WHERE kind = ? AND owner = ? AND name = ?"
_PUT = (
    "INSERT INTO sealed (kind, owner, name, token) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, owner, name) DO UPDATE SET token = excluded.token"
)


def masked(text: str) -> str:
    """Return what may be shown of a secret: its first and last four characters, or none of a short one."""
    return MASK if len(text) <= _SHORT else f"{text[:4]}{MASK}{text[-4:]}"


def is_masked(text: str) -> bool:
    """Say whether a text has the form that ``masked`` gives, so that it is no secret."""
    return _MASKED.fullmatch(text) is not None


class _Row(NamedTuple):
    kind: str
    owner: str
    name: str


class Sealed:
    """The table of secrets, each of an owner (its kind and id) and under a name.

    They are encrypted with Fernet (AES-128-CBC and HMAC-SHA256) and bound to their row, so that one
    that is moved to another row does not open there.

    All methods raise ``StoreError`` when the database cannot be read or written; those that encrypt or
    decrypt also raise as ``secret_key.cipher``.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, kind: str, owner: str, name: str, text: str) -> None:
        """Store a secret; an earlier one of the same name is replaced."""
        row = _Row(key(kind), key(owner), key(name))
        token = secret_key.cipher(self._database.path, make=True).encrypt(json.dumps([*row, text]).encode())
        with self._database.write() as connection:
            connection.execute(_PUT, (*row, token.decode("ascii")))

    def keep(self, kind: str, owner: str, name: str, given: str | None) -> None:
        """Store what a form was sent back with: absent, empty or masked keeps what is stored."""
        if given and not is_masked(given):
            self.seal(kind, owner, name, given)

    def open(self, kind: str, owner: str, name: str) -> SecretStr | None:
        """Return a secret; None when there is none.

        Raises:
            StoreError: It was sealed with a key that is not there any more.
        """
        row = _Row(key(kind), key(owner), key(name))
        with self._database.read() as connection:
            found = connection.execute(_ONE, row).fetchone()
        return None if found is None else SecretStr(self._opened(row, found[0]))

    def shown(self, kind: str, owner: str) -> dict[str, str]:
        """Return the secrets of an owner by their names, masked; whole where they do not open any more."""
        query = "SELECT name, token FROM sealed WHERE kind = ? AND owner = ? ORDER BY name"
        with self._database.read() as connection:
            rows = connection.execute(query, (key(kind), key(owner))).fetchall()
        return {name: self._masked(_Row(key(kind), key(owner), name), token) for name, token in rows}

    def forget(self, kind: str, owner: str, name: str | None = None) -> None:
        """Delete one secret of an owner, or all of them."""
        which, params = ("", ()) if name is None else (" AND name = ?", (key(name),))
        with self._database.write() as connection:
            connection.execute(
                f"DELETE FROM sealed WHERE kind = ? AND owner = ?{which}", (key(kind), key(owner), *params)
            )

    def _masked(self, row: _Row, token: str) -> str:
        try:
            return masked(self._opened(row, token))
        except (ConfigError, StoreError):
            return MASK

    def _opened(self, row: _Row, token: str) -> str:
        cipher = secret_key.cipher(self._database.path, make=False)
        from cryptography.fernet import InvalidToken

        try:
            *place, text = json.loads(cipher.decrypt(token))
        except InvalidToken:
            place, text = [], ""
        if place != [*row]:
            raise StoreError(
                f"the {row.name} of {row.kind} {row.owner!r} was encrypted with another key: bring back the "
                f"key ({secret_key.VARIABLE} or the file {secret_key.FILE_NAME}), or enter the secret again",
                path=self._database.path,
            )
        return str(text)
