"""Insights and proposals: what a search leaves behind, and what people decided about it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from ..models import Insight, Proposal
from .database import Connection
from .table import Table, key

ModelT = TypeVar("ModelT", bound=BaseModel)

INSIGHTS = Table("insights", Insight, columns=("id", "task", "section", "status", "created_at"))
PROPOSALS = Table("proposals", Proposal, columns=("id", "task", "parent_sha256", "status", "created_at"))


def save(connection: Connection, table: Table[ModelT], item: ModelT, item_id: str) -> None:
    """Store an item, or what it has become.

    Raises:
        connection.IntegrityError: Another one of which there may be one only is there.
    """
    if not connection.execute(f"{table.update} WHERE id = ?", (*table.changes(item), key(item_id))).rowcount:
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
    given = {column: key(value) for column, value in filters.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in given) or "TRUE"
    query = f"SELECT {table.fields} FROM {table.name} WHERE {where} ORDER BY number DESC"
    return [table.read(row) for row in connection.execute(query, tuple(given.values())).fetchall()]
