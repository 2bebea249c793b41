"""What can go wrong with the database file, said with place and cure."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from ...errors import StoreError

_ELSEWHERE = "choose another file with --kaizen-store"
#: With less than this free, an input/output error is a full disk by another name.
_FULL_BELOW_BYTES = 1 << 20


def missing(path: Path) -> StoreError:
    """There is no store yet, and one is needed for reading."""
    return StoreError("there is no store here yet; `pytest --kaizen` makes one", path=path)


def directory_in_the_way(path: Path) -> StoreError:
    """The path of the database is a folder."""
    return StoreError(f"is a folder, not a database; remove it or {_ELSEWHERE}", path=path)


def no_folder(path: Path, exc: OSError) -> StoreError:
    """The folder, or a file in it, cannot be made."""
    place = exc.filename or path.parent
    return StoreError(
        f"not writable: {place}: {exc.strerror or exc}; make the folder writable or {_ELSEWHERE}", path=path
    )


def foreign(path: Path) -> StoreError:
    """The file is a SQLite database, of another program."""
    return StoreError(f"is a database of another program; {_ELSEWHERE}", path=path)


def newer(path: Path, found: int, known: int) -> StoreError:
    """A newer release has written the file."""
    return StoreError(
        f"has store version {found}, and this pytest-kaizen knows versions up to {known}; "
        f"upgrade pytest-kaizen or {_ELSEWHERE}",
        path=path,
    )


def locked(path: Path, timeout: float) -> StoreError:
    """Another process would not let go."""
    return StoreError(
        f"locked by another process for more than {timeout:g} s; wait until it has ended or {_ELSEWHERE}",
        path=path,
        transient=True,
    )


def no_wal(path: Path, mode: str) -> StoreError:
    """The file system cannot do write-ahead logging (some network file systems cannot)."""
    return StoreError(
        f"the file system has no write-ahead logging (SQLite answers {mode!r}); "
        "choose a file on a local disk with --kaizen-store",
        path=path,
    )


def cannot_write_beside(exc: BaseException) -> bool:
    """Whether SQLite failed because it could make no file in the database's folder."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def from_sqlite(exc: sqlite3.Error, path: Path, timeout: float) -> StoreError:
    """Say what an error of SQLite means to the user."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _disk_is_full(path))
    if full:
        message = (
            "disk full: this step was not stored, everything stored before is intact; "
            f"free some space or {_ELSEWHERE}"
        )
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(path, timeout)
    elif code == sqlite3.SQLITE_NOTADB:
        message = f"is not a database; remove it or {_ELSEWHERE}"
    elif code == sqlite3.SQLITE_CORRUPT:
        message = f"the database is damaged ({exc}); restore it from a copy, or remove it"
    elif code == sqlite3.SQLITE_CANTOPEN:
        message = (
            f"cannot be opened: {exc}; make the file and its folder readable and writable or {_ELSEWHERE}"
        )
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        message = f"not writable: {exc}; make the file and its folder writable or {_ELSEWHERE}"
    else:
        message = f"the database failed: {exc}"
    return StoreError(message, path=path, transient=full)


def _disk_is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FULL_BELOW_BYTES
    except OSError:
        return False
