"""The key that secrets in the store are encrypted with. Needs cryptography, from the extra ``server``."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, StoreError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE = "KAIZEN_SECRET_KEY"
FILE_NAME = "kaizen-secret.key"
_KEY_BYTES = 32
_HOW = "make one with `openssl rand -base64 32`"


def keys_of(environ: Mapping[str, str]) -> list[bytes]:
    """Return the keys in ``KAIZEN_SECRET_KEY``, as Fernet takes them; none when it is not set.

    Several are separated by commas: the first encrypts, all decrypt, so that a key can be replaced.

    Raises:
        ConfigError: One is not 32 bytes in base64.
    """
    given = environ.get(VARIABLE, "").strip()
    if not given:
        return []
    parts = [part.strip() for part in given.split(",")]
    keys = [_parsed(part) for part in parts]
    for number, key in enumerate(keys, 1):
        if key is None:
            which = "" if len(keys) == 1 else f"key {number} of {len(keys)} "
            raise ConfigError(
                f"{VARIABLE}: {which}is not 32 bytes in base64 (it has {len(parts[number - 1])} characters, "
                f"44 are right); {_HOW}; several are separated by commas"
            )
    return [key for key in keys if key is not None]


def cipher(place: Path | str, *, make: bool) -> MultiFernet:
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
        file = place.parent / FILE_NAME
        if make and not keys and not file.exists():
            _make(file)
        if file.exists():
            keys.append(_read(file))
        elif not keys:
            raise StoreError(f"{FILE_NAME} is gone; put it back, or set {VARIABLE}", path=place.parent)
    elif not keys:
        raise ConfigError(
            f"set {VARIABLE}: secrets are kept encrypted, and a store on PostgreSQL has no folder for a key; "
            f"{_HOW} and give the same to every server, worker and command on that store"
        )
    return MultiFernet([Fernet(key) for key in keys])


def _make(file: Path) -> None:
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
            f"the key for secrets cannot be made: {exc.strerror}; set {VARIABLE}", path=file
        ) from None
    finally:
        new.unlink(missing_ok=True)


def _read(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as exc:
        raise StoreError(f"the key for secrets cannot be read: {exc.strerror}", path=file) from None
    if os.name == "posix" and mode & 0o077:
        raise StoreError(f"others may read the key for secrets (mode {mode:o}); `chmod 600` it", path=file)
    key = _parsed(text)
    if key is None:
        raise StoreError(f"is to hold a key, 32 bytes in base64, and does not; or set {VARIABLE}", path=file)
    return key


def _parsed(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return base64.urlsafe_b64encode(raw) if len(raw) == _KEY_BYTES else None
