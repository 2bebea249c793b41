"""A lock between processes: an operating-system lock on a file beside the database."""

from __future__ import annotations

import os
import sys
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
