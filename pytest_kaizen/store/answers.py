"""Answers of judges, which are only ever added."""

from __future__ import annotations

import json
from typing import Any

from ..models import AnswerKey
from .database import Connection
from .table import key as storable

# In quotes, because ORDER is a word of SQL.
_WHERE = " AND ".join(f'"{column}" = ?' for column in AnswerKey._fields)
_COLUMNS = ", ".join(f'"{column}"' for column in AnswerKey._fields)
ONE = f"SELECT answer FROM judge_answers WHERE {_WHERE}"
_INSERT_NEW = (
    f"INSERT INTO judge_answers ({_COLUMNS}, answer) VALUES ({', '.join('?' * len(AnswerKey._fields))}, ?) "
    "ON CONFLICT DO NOTHING"
)


def add(connection: Connection, key: AnswerKey, answer: Any) -> None:
    """Store an answer unless there is one already."""
    connection.execute(_INSERT_NEW, (*_row(key), json.dumps(answer)))


def one(connection: Connection, key: AnswerKey) -> Any:
    """Return an answer; None when there is none."""
    row = connection.execute(ONE, _row(key)).fetchone()
    return None if row is None else json.loads(row[0])


def _row(key: AnswerKey) -> tuple[object, ...]:
    return tuple(storable(value) if isinstance(value, str) else value for value in key)
