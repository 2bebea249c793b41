"""Secrets in the store, encrypted and shown masked, and the settings of the connections that they are for.

To encrypt needs cryptography, from the extra ``server``.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from ..errors import ConfigError, StoreError
from .database import Database
from .table import key

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


KEY_VARIABLE = "KAIZEN_SECRET_KEY"
KEY_FILE_NAME = "kaizen-secret.key"
_KEY_BYTES = 32
_HOW_TO_MAKE_A_KEY = "make one with `openssl rand -base64 32`"

MASK = "****"
_MASKED = re.compile(r"\*{4}|.{4}\*{4}.{4}", re.DOTALL)
#: Of a longer one more than half stays hidden.
_SHORT = 16
_ONE = "SELECT token FROM sealed WHERE kind = ? AND owner = ? AND name = ?"
_PUT = (
    "INSERT INTO sealed (kind, owner, name, token) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, owner, name) DO UPDATE SET token = excluded.token"
)


def keys_of(environ: Mapping[str, str]) -> list[bytes]:
    """Return the keys in ``KAIZEN_SECRET_KEY``, as Fernet takes them; none when it is not set.

    Several are separated by commas: the first encrypts, all decrypt, so that a key can be replaced.

    Raises:
        ConfigError: One is not 32 bytes in base64.
    """
    given = environ.get(KEY_VARIABLE, "").strip()
    if not given:
        return []
    parts = [part.strip() for part in given.split(",")]
    keys = [_parsed_key(part) for part in parts]
    for number, found in enumerate(keys, 1):
        if found is None:
            which = "" if len(keys) == 1 else f"key {number} of {len(keys)} "
            raise ConfigError(
                f"{KEY_VARIABLE}: {which}is not 32 bytes in base64 (it has {len(parts[number - 1])} "
                f"characters, 44 are right); {_HOW_TO_MAKE_A_KEY}; several are separated by commas"
            )
    return [found for found in keys if found is not None]


def cipher_for(place: Path | str, *, make: bool) -> MultiFernet:
    """Return what encrypts and decrypts the secrets of a database.

    The keys are those of ``KAIZEN_SECRET_KEY``, then that of a file beside the database, if it is there.

    Args:
        place: The database file; a text for a database on a server, which has no file beside it.
        make: Where there is no key at all, make the file, which only its owner may read.

    Raises:
        ConfigError: ``KAIZEN_SECRET_KEY`` is malformed, or it is not set and there is no place for a file.
        StoreError: The file cannot be made or read, others may read it, it holds no key or is not there;
            or cryptography is not installed.
    """
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as exc:
        raise StoreError(
            f"secrets are kept encrypted, which needs {exc.name}: pip install 'pytest-kaizen[server]'"
        ) from None
    keys = keys_of(os.environ)
    if isinstance(place, Path):
        file = place.parent / KEY_FILE_NAME
        if make and not keys and not file.exists():
            _make_key_file(file)
        if file.exists():
            keys.append(_read_key_file(file))
        elif not keys:
            raise StoreError(
                f"{KEY_FILE_NAME} is gone; put it back, or set {KEY_VARIABLE}", path=place.parent
            )
    elif not keys:
        raise ConfigError(
            f"set {KEY_VARIABLE}: secrets are kept encrypted, and a store on PostgreSQL has no folder for a "
            f"key; {_HOW_TO_MAKE_A_KEY} and give the same to every server, worker and command on that store"
        )
    return MultiFernet([Fernet(found) for found in keys])


def _make_key_file(file: Path) -> None:
    """Make the file with a new key, whole at once; one that another process made first stays."""
    new = file.with_name(f".{file.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
            # What it encrypts is of no use without it.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        file.hardlink_to(new)
    except FileExistsError:
        pass
    except OSError as exc:
        raise StoreError(
            f"the key for secrets cannot be made: {exc.strerror}; set {KEY_VARIABLE}", path=file
        ) from None
    finally:
        new.unlink(missing_ok=True)


def _read_key_file(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as exc:
        raise StoreError(f"the key for secrets cannot be read: {exc.strerror}", path=file) from None
    if os.name == "posix" and mode & 0o077:
        raise StoreError(f"others may read the key for secrets (mode {mode:o}); `chmod 600` it", path=file)
    found = _parsed_key(text)
    if found is None:
        raise StoreError(
            f"is to hold a key, 32 bytes in base64, and does not; or set {KEY_VARIABLE}", path=file
        )
    return found


def _parsed_key(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return base64.urlsafe_b64encode(raw) if len(raw) == _KEY_BYTES else None


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
    decrypt also raise as ``cipher_for``.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, kind: str, owner: str, name: str, text: str) -> None:
        """Store a secret; an earlier one of the same name is replaced."""
        row = _Row(key(kind), key(owner), key(name))
        token = cipher_for(self._database.path, make=True).encrypt(json.dumps([*row, text]).encode())
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
        cipher = cipher_for(self._database.path, make=False)
        from cryptography.fernet import InvalidToken

        try:
            *place, text = json.loads(cipher.decrypt(token))
        except InvalidToken:
            place, text = [], ""
        if place != [*row]:
            raise StoreError(
                f"the {row.name} of {row.kind} {row.owner!r} was encrypted with another key: bring back the "
                f"key ({KEY_VARIABLE} or the file {KEY_FILE_NAME}), or enter the secret again",
                path=self._database.path,
            )
        return str(text)


class Integrations:
    """The table of integrations, by their names.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, settings: Mapping[str, Any]) -> None:
        """Store the settings of an integration in the place of those before; none is a secret."""
        query = (
            "INSERT INTO integrations (name, data) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET data = excluded.data"
        )
        with self._database.write() as connection:
            connection.execute(query, (key(name), json.dumps(dict(settings))))

    def one(self, name: str) -> dict[str, Any]:
        """Return the settings of an integration; none where nothing is set."""
        query = "SELECT data FROM integrations WHERE name = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(name),)).fetchone()
        found: dict[str, Any] = {} if row is None else json.loads(row[0])
        return found

    def forget(self, name: str) -> None:
        """Delete the settings of an integration."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM integrations WHERE name = ?", (key(name),))
