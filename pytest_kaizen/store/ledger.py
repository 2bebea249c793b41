"""What judges and optimisations came to: answers, calibrations, rollouts, reflections, insights, proposals.

All is only ever added to, but what became of an insight or a proposal.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel

from ..models import AnswerKey, Calibration, Insight, Proposal, RolloutKey, Scored
from .database import Connection
from .table import Table
from .table import key as storable

# Columns stand in quotes, because ORDER and CASE are words of SQL.
_ANSWER_COLUMNS = tuple(f'"{column}"' for column in AnswerKey._fields)
ANSWER = (
    f"SELECT answer FROM judge_answers WHERE {' AND '.join(f'{column} = ?' for column in _ANSWER_COLUMNS)}"
)
_INSERT_ANSWER = (
    f"INSERT INTO judge_answers ({', '.join(_ANSWER_COLUMNS)}, answer) "
    f"VALUES ({'?, ' * len(_ANSWER_COLUMNS)}?) ON CONFLICT DO NOTHING"
)

_CALIBRATIONS = Table(
    "calibrations",
    Calibration,
    columns=("rubric", "rubric_sha256", "model", "votes", "created_at"),
)
CALIBRATIONS = f"SELECT {_CALIBRATIONS.fields} FROM calibrations ORDER BY number DESC"
CALIBRATIONS_OF_RUBRIC = (
    f"SELECT {_CALIBRATIONS.fields} FROM calibrations WHERE rubric = ? ORDER BY number DESC"
)

_ROLLOUT_COLUMNS = tuple(f'"{column}"' for column in RolloutKey._fields)
ROLLOUT = f"SELECT data FROM rollouts WHERE {' AND '.join(f'{column} = ?' for column in _ROLLOUT_COLUMNS)}"
_INSERT_ROLLOUT = (
    f"INSERT INTO rollouts ({', '.join(_ROLLOUT_COLUMNS)}, data) "
    f"VALUES ({'?, ' * len(_ROLLOUT_COLUMNS)}?) ON CONFLICT DO NOTHING"
)
REFLECTION = "SELECT answer FROM reflections WHERE key = ?"

ModelT = TypeVar("ModelT", bound=BaseModel)

INSIGHTS = Table("insights", Insight, columns=("id", "task", "section", "status", "created_at"))
PROPOSALS = Table("proposals", Proposal, columns=("id", "task", "parent_sha256", "status", "created_at"))


def add_answer(connection: Connection, key: AnswerKey, answer: Any) -> None:
    """Store an answer unless there is one already."""
    connection.execute(_INSERT_ANSWER, (*_row(key), json.dumps(answer)))


def answer(connection: Connection, key: AnswerKey) -> Any:
    """Return an answer; None when there is none."""
    row = connection.execute(ANSWER, _row(key)).fetchone()
    return None if row is None else json.loads(row[0])


def add_calibration(connection: Connection, calibration: Calibration) -> None:
    """Store a calibration."""
    connection.execute(_CALIBRATIONS.insert, _CALIBRATIONS.row(calibration))


def newest_calibrations(connection: Connection, rubric: str | None) -> list[Calibration]:
    """Return the calibrations for rubrics of a name or for all, the newest first."""
    query, values = (CALIBRATIONS, ()) if rubric is None else (CALIBRATIONS_OF_RUBRIC, (storable(rubric),))
    return [_CALIBRATIONS.read(row) for row in connection.execute(query, values).fetchall()]


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


def save(connection: Connection, table: Table[ModelT], item: ModelT, item_id: str) -> None:
    """Store an item, or what it has become.

    Raises:
        connection.IntegrityError: Another one of which there may be one only is there.
    """
    values = (*table.changes(item), storable(item_id))
    if not connection.execute(f"{table.update} WHERE id = ?", values).rowcount:
        connection.execute(table.insert, table.row(item))


def newest(
    connection: Connection, table: Table[ModelT], task: str | None, status: str | None
) -> list[ModelT]:
    """Return items, the newest first.

    Args:
        connection: The database.
        table: One of this module's tables.
        task: Of this task only.
        status: Of this status only.
    """
    filters = {"task": task, "status": status}
    given = {column: storable(value) for column, value in filters.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in given) or "TRUE"
    query = f"SELECT {table.fields} FROM {table.name} WHERE {where} ORDER BY number DESC"
    return [table.read(row) for row in connection.execute(query, tuple(given.values())).fetchall()]


def _row(key: AnswerKey | RolloutKey) -> tuple[object, ...]:
    return tuple(storable(value) if isinstance(value, str) else value for value in key)
