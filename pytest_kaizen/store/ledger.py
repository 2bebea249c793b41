"""The ledger of optimisations, which is only ever added to."""

from __future__ import annotations

import json
from typing import Any

from ..models import RolloutKey, Scored
from .database import Connection
from .table import key as storable

# In quotes, because CASE is a word of SQL.
_WHERE = " AND ".join(f'"{column}" = ?' for column in RolloutKey._fields)
_COLUMNS = ", ".join(f'"{column}"' for column in RolloutKey._fields)
ROLLOUT = f"SELECT data FROM rollouts WHERE {_WHERE}"
_INSERT_ROLLOUT = (
    f"INSERT INTO rollouts ({_COLUMNS}, data) VALUES ({', '.join('?' * len(RolloutKey._fields))}, ?) "
    "ON CONFLICT DO NOTHING"
)
REFLECTION = "SELECT answer FROM reflections WHERE key = ?"


def add_rollout(connection: Connection, key: RolloutKey, scored: Scored) -> None:
    """Store a rollout unless there is one already."""
    connection.execute(_INSERT_ROLLOUT, (*_row(key), json.dumps(scored.model_dump(mode="json"))))


def rollout(connection: Connection, key: RolloutKey) -> Scored | None:
    """Return a rollout; None when there is none."""
    row = connection.execute(ROLLOUT, _row(key)).fetchone()
    return None if row is None else Scored.model_validate(json.loads(row[0]))


def add_reflection(connection: Connection, key: str, answer: Any) -> None:
    """Store a reflection unless there is one already."""
    query = "INSERT INTO reflections (key, answer) VALUES (?, ?) ON CONFLICT DO NOTHING"
    connection.execute(query, (key, json.dumps(answer)))


def reflection(connection: Connection, key: str) -> Any:
    """Return a reflection; None when there is none."""
    row = connection.execute(REFLECTION, (key,)).fetchone()
    return None if row is None else json.loads(row[0])


def look(connection: Connection, task: str, prompt: str, candidate: str) -> int:
    """Number the comparisons of a task in the order they were first made."""
    values = (storable(task), prompt, candidate)
    connection.execute(
        "INSERT INTO looks (task, prompt, candidate, look) "
        "SELECT ?1, ?2, ?3, count(*) + 1 FROM looks WHERE task = ?1 ON CONFLICT DO NOTHING",
        values,
    )
    query = "SELECT look FROM looks WHERE task = ? AND prompt = ? AND candidate = ?"
    number: int = connection.execute(query, values).fetchone()[0]
    return number


def _row(key: RolloutKey) -> tuple[object, ...]:
    return tuple(storable(value) if isinstance(value, str) else value for value in key)
