"""Prompt versions, which are only ever added."""

from __future__ import annotations

from ..models import PromptVersion
from .database import Connection
from .table import Table, key

_PROMPTS = Table(
    "prompts",
    PromptVersion,
    columns=("task", "version", "sha256", "source", "eval_score", "created_at"),
)
_INSERT_NEW = f"{_PROMPTS.insert} ON CONFLICT (task, version) DO NOTHING"
ALL = f"SELECT {_PROMPTS.fields} FROM prompts ORDER BY task, version"
OF_TASK = f"SELECT {_PROMPTS.fields} FROM prompts WHERE task = ? ORDER BY version"


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
