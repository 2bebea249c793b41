"""Prompt versions, which are only ever added, and which of them are active on a server."""

from __future__ import annotations

from typing import Literal

from ..models import PromptVersion
from .database import Connection, Database
from .table import Table, key

_PROMPTS = Table(
    "prompts",
    PromptVersion,
    columns=("task", "version", "sha256", "source", "eval_score", "created_at"),
)
_INSERT_NEW = f"{_PROMPTS.insert} ON CONFLICT (task, version) DO NOTHING"
ALL = f"SELECT {_PROMPTS.fields} FROM prompts ORDER BY task, version"
OF_TASK = f"SELECT {_PROMPTS.fields} FROM prompts WHERE task = ? ORDER BY version"

ONE = f"SELECT {_PROMPTS.fields} FROM prompts WHERE task = ? AND version = ?"

Status = Literal["draft", "active", "archived"]


def add(connection: Connection, version: PromptVersion) -> str | None:
    """Store a version unless its number is taken; return the SHA-256 it was taken with."""
    if connection.execute(_INSERT_NEW, _PROMPTS.row(version)).rowcount:
        return None
    query = "SELECT sha256 FROM prompts WHERE task = ? AND version = ?"
    taken: str = connection.execute(query, (key(version.task), version.version)).fetchone()[0]
    return taken


def versions(connection: Connection, task: str | None) -> list[PromptVersion]:
    """Return the versions of one task or of all, by task and number."""
    cursor = connection.execute(ALL) if task is None else connection.execute(OF_TASK, (key(task),))
    return [_PROMPTS.read(row) for row in cursor.fetchall()]


def one(connection: Connection, task: str, version: int) -> PromptVersion | None:
    """Return a version of a task; None where it is not stored."""
    row = connection.execute(ONE, (key(task), version)).fetchone()
    return None if row is None else _PROMPTS.read(row)


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
