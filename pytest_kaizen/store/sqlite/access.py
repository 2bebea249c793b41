"""Who may use a database file at a time: one writer among all processes, and any number of readers."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# Bound at import, so that a test which replaces `time.sleep` or stops the clock cannot hang us.
from time import sleep

_FIRST_WAIT_S = 0.0005
_LONGEST_WAIT_S = 0.02


class LockTimeout(Exception):  # noqa: N818 - named as what happened, like the built-in TimeoutError
    """Another process held the lock for the whole time."""


class FileLock:
    """An exclusive lock that the operating system gives back when its holder dies.

    The file stays where it is: to remove a lock file is a race. One object serves one thread at a
    time; the caller sees to that.

    Args:
        path: The lock file, made when it is absent.
        timeout: Seconds to wait for another holder.

    Raises:
        OSError: The file cannot be made or opened.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._timeout = timeout
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockTimeout: Someone else held it for ``timeout`` seconds.
            OSError: The file system has no locks.
        """
        waited, pause = 0.0, _FIRST_WAIT_S
        while not _try_lock(self._descriptor):
            if waited >= self._timeout:
                raise LockTimeout
            sleep(pause)
            waited += pause
            pause = min(2 * pause, _LONGEST_WAIT_S)

    def release(self) -> None:
        """Give the lock back."""
        _unlock(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class Readers:
    """Read connections to one file, each used by one thread at a time and kept for the next.

    Args:
        connect: Opens one more.
        most: So many are kept when they are not in use.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], most: int) -> None:
        self._connect = connect
        self._most = most
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> sqlite3.Connection:
        """Return a connection that nobody else uses; it is to be given back.

        Raises:
            StoreError: There is none and none can be opened.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        return connection or self._connect()

    def give(self, connection: sqlite3.Connection) -> None:
        """Take a connection back."""
        with self._lock:
            keep = not self._closed and len(self._idle) < self._most
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        """Close those that are not in use; the others are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
