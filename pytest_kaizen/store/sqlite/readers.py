"""Connections that only read: they neither wait for the writer nor for each other."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable


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
