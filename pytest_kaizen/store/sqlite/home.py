"""Databases as files in one folder."""

from __future__ import annotations

from pathlib import Path

from ..database import Database
from ..schema import Schema
from ..search import Search
from .database import SQLiteDatabase
from .search import SQLiteSearch


class SQLiteHome:
    """A folder with a file for each database.

    Args:
        folder: Made when it is absent.
        timeout: Seconds to wait for another process that writes.
    """

    def __init__(self, folder: Path, *, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout
        self.search: Search = SQLiteSearch()

    def open(self, name: str, schema: Schema) -> Database:
        """Open the file of a database, making it when it is absent.

        Raises:
            StoreError: It cannot be opened or made.
        """
        path = self._folder / f"{name}.db"
        return SQLiteDatabase(path, schema, readonly=False, timeout=self._timeout, served=True)

    def close(self) -> None:
        """Nothing is shared."""
