"""Which version of a task's prompt is active on a server, and which ones have been."""

from __future__ import annotations

from typing import Literal

from .database import Database
from .table import key

Status = Literal["draft", "active", "archived"]


class Activations:
    """The table of activated versions. A repository keeps this in its ``kaizen.lock`` instead.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def activate(self, task: str, version: int) -> None:
        """Make a version the active one; the one that was becomes archived."""
        add = (
            "INSERT INTO activations (task, version, active) VALUES (?, ?, 1) "
            "ON CONFLICT (task, version) DO UPDATE SET active = 1"
        )
        with self._database.write() as connection:
            connection.execute("UPDATE activations SET active = 0 WHERE task = ?", (key(task),))
            connection.execute(add, (key(task), version))

    def active(self, task: str) -> int | None:
        """Return the number of the active version; None while none is."""
        query = "SELECT version FROM activations WHERE task = ? AND active = 1"
        with self._database.read() as connection:
            row = connection.execute(query, (key(task),)).fetchone()
        return None if row is None else row[0]

    def status(self, task: str, version: int) -> Status:
        """Say where a version stands; one that never was active is a draft."""
        query = "SELECT active FROM activations WHERE task = ? AND version = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(task), version)).fetchone()
        if row is None:
            return "draft"
        return "active" if row[0] else "archived"
