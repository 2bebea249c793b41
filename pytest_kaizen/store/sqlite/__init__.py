"""A database in a SQLite file: opening it, its steps to the newest schema, one writer at a time.

SQLite before 3.51.3 can corrupt a database in write-ahead-logging mode that several connections
write or checkpoint at once, so every write transaction holds an operating-system lock in a file
beside the database. A checkpoint only happens at the commit of such a transaction or on closing,
so the lock covers it too. Reading needs no lock. How many steps a file has taken is SQLite's
``user_version``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import StoreError
from ..database import Schema
from . import problems
from .access import FileLock, LockTimeout, Readers

VERSION = sqlite3.sqlite_version
#: From here on, several connections cannot corrupt a database in write-ahead-logging mode.
SAFE_VERSION = "3.51.3"

#: Pages (of 4 KiB) in the write-ahead log from which a commit also checkpoints.
_CHECKPOINT_PAGES = 8000
_WAL_KEPT_BYTES = 32 << 20
_CACHE_KIB = 8192
_READERS_KEPT = 8


def is_safe() -> bool:
    """Whether this SQLite is ``SAFE_VERSION`` or newer."""
    return sqlite3.sqlite_version_info >= tuple(map(int, SAFE_VERSION.split(".")))


def _steps_taken(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
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


def _migrate(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Take all the steps that the database has not taken, or none.

    Raises:
        StoreError: It is another program's, or a newer release has written it.
    """
    # One transaction even when nothing is to be done: it shows whether the file can be written at all.
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _steps_taken(connection, path, schema)
        if found < len(schema.steps):
            schema.take_steps(connection, found)
            connection.execute(f"PRAGMA application_id = {schema.mark}")
            connection.execute(f"PRAGMA user_version = {len(schema.steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


class SQLiteDatabase:
    """One connection to the file, for all threads of this process.

    Args:
        path: The database file; made, with its folder, unless ``readonly``.
        schema: The tables it is to hold.
        readonly: Only read, and leave everything on the disk as it is.
        timeout: Seconds to wait for another process that writes.
        served: For a server: a commit is on the disk when it returns, readers have connections of
            their own, and a new file can give space back.

    Raises:
        StoreError: With the place and the cure.
    """

    def __init__(
        self, path: Path, schema: Schema, *, readonly: bool, timeout: float, served: bool = False
    ) -> None:
        self.path = path
        self._schema = schema
        self._readonly = readonly
        self._timeout = timeout
        self._served = served
        self._readers = Readers(lambda: self._look("mode=ro")[0], _READERS_KEPT) if served else None
        self._threads = threading.RLock()
        self._lock: FileLock | None = None
        try:
            if path.is_dir():
                raise problems.directory_in_the_way(path)
            if readonly and not path.exists():
                raise problems.missing(path)
        except OSError as exc:
            raise problems.no_folder(path, exc) from None
        self._connection = self._open_to_read() if readonly else self._open_to_write()

    def _open_to_read(self) -> sqlite3.Connection:
        connection, steps = self._look("mode=ro")
        if steps < len(self._schema.steps):
            connection.close()
            SQLiteDatabase(self.path, self._schema, readonly=False, timeout=self._timeout).close()
            connection, _ = self._look("mode=ro")
        return connection

    def _look(self, mode: str) -> tuple[sqlite3.Connection, int]:
        """Open for reading; return the connection and how many migrations the file has taken."""
        connection = self._connect(mode)
        try:
            return connection, _steps_taken(connection, self.path, self._schema)
        except sqlite3.Error as exc:
            connection.close()
            # Even a reader keeps an index of the log beside it. In a folder where it cannot, a file
            # without a log is complete by itself.
            if mode == "mode=ro" and problems.cannot_write_beside(exc) and not self._has_log():
                return self._look("mode=ro&immutable=1")
            raise problems.from_sqlite(exc, self.path, self._timeout) from exc
        except BaseException:
            connection.close()
            raise

    def _has_log(self) -> bool:
        log = self.path.with_name(self.path.name + "-wal")
        return log.exists() and log.stat().st_size > 0

    def _open_to_write(self) -> sqlite3.Connection:
        try:
            _make_folder(self.path.parent)
            self._lock = FileLock(self.path.with_name(self.path.name + ".lock"), self._timeout)
        except OSError as exc:
            raise problems.no_folder(self.path, exc) from None
        connection = None
        try:
            self._take_lock()
            connection = self._connect("mode=rwc")
            self._prepare(connection)
        except BaseException as exc:
            if connection is not None:
                connection.close()
            self._lock.close()
            self._explain(exc)
            raise
        self._lock.release()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Refuse before the first write: another program's file stays as it is.
        _steps_taken(connection, self.path, self._schema)
        if self._served:
            # Only heeded while the file has no tables.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise problems.no_wal(self.path, mode)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._served else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
        _migrate(connection, self.path, self._schema)

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?{mode}"
        try:
            return sqlite3.connect(
                uri, uri=True, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as exc:
            raise problems.from_sqlite(exc, self.path, self._timeout) from exc

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold one write transaction: all of it is stored, or nothing.

        Raises:
            StoreError: It could not be stored; what was there before still is.
        """
        if self._readonly:
            raise StoreError("is open for reading only", path=self.path)
        with self._threads:
            lock = self._take_lock()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as exc:
                # SQLite itself has rolled back after some errors, a full disk among them.
                if self._connection.in_transaction:
                    self._connection.rollback()
                self._explain(exc)
                raise
            finally:
                lock.release()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Hold one read transaction: all that is read is of one moment.

        Raises:
            StoreError: It could not be read.
        """
        readers = self._readers
        connection = readers.take() if readers is not None else self._mine()
        try:
            connection.execute("BEGIN")
            yield connection
            connection.rollback()
        except BaseException as exc:
            with suppress(sqlite3.Error):
                connection.rollback()
            self._explain(exc)
            raise
        finally:
            if readers is not None:
                readers.give(connection)
            else:
                self._threads.release()

    def _mine(self) -> sqlite3.Connection:
        self._threads.acquire()
        return self._connection

    @contextmanager
    def alone(self, purpose: str) -> Iterator[bool]:
        """Hold what one process at a time may do; the value says whether this one may.

        Raises:
            StoreError: The file of the lock cannot be made.
        """
        place = self.path.with_name(f"{self.path.name}.{purpose}")
        try:
            lock = FileLock(place, timeout=0)
        except OSError as exc:
            raise problems.no_folder(self.path, exc) from None
        try:
            try:
                lock.acquire()
            except LockTimeout:
                yield False
                return
            yield True
            lock.release()
        finally:
            lock.close()

    def size(self) -> int:
        """Return how many bytes it takes on the disk, without what can be used anew.

        Raises:
            StoreError: It could not be read.
        """
        with self.read() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        used: int = (pages - free) * size
        return used

    def give_back(self) -> None:
        """Give the space of what was deleted back to the disk; nobody can write meanwhile.

        Raises:
            StoreError: It could not be done.
        """
        with self._threads, self.explained():
            lock = self._take_lock()
            try:
                gradual = self._connection.execute("PRAGMA auto_vacuum").fetchone()[0]
                # As a script: a statement by itself would stop after its first step, which is one page.
                self._connection.executescript("PRAGMA incremental_vacuum" if gradual else "VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                lock.release()

    def close(self) -> None:
        """Close the file; the last one to do so folds the log into it. Closing twice is harmless."""
        if self._readers is not None:
            self._readers.close()
        with self._threads:
            if self._lock is not None:
                # Whoever cannot have the lock leaves the log as it is: the next one folds it.
                with suppress(StoreError, sqlite3.Error):
                    self._take_lock()
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._connection.close()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _take_lock(self) -> FileLock:
        if self._lock is None:
            raise StoreError("is closed", path=self.path)
        try:
            self._lock.acquire()
        except LockTimeout:
            raise problems.locked(self.path, self._timeout) from None
        except OSError as exc:
            raise problems.no_folder(self.path, exc) from None
        return self._lock

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise SQLite's errors as what they mean to the user.

        Raises:
            StoreError: With the place and the cure.
        """
        try:
            yield
        except BaseException as exc:
            self._explain(exc)
            raise

    def _explain(self, exc: BaseException) -> None:
        """Raise what an exception means to the user, when that is known.

        Raises:
            StoreError: With the place and the cure.
        """
        if isinstance(exc, sqlite3.Error):
            raise problems.from_sqlite(exc, self.path, self._timeout) from exc
        if isinstance(exc, ValueError | TypeError | OverflowError):
            raise StoreError(f"cannot be stored or read: {exc}", path=self.path) from exc


def _make_folder(folder: Path) -> None:
    """Make the folder of the database, and keep it out of version control."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        if folder.name != ".kaizen":
            return
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
