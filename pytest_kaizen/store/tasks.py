"""Tasks that are known by their feedback."""

from __future__ import annotations

from ..models import Task
from .database import Database
from .table import Table, key

TASKS = Table("tasks", Task, columns=("id", "name", "created_at"))
BY_ID = f"SELECT {TASKS.fields} FROM tasks WHERE id = ?"
BY_NAME = f"SELECT {TASKS.fields} FROM tasks WHERE name = ?"
NEWEST = f"SELECT {TASKS.fields} FROM tasks ORDER BY number DESC LIMIT ? OFFSET ?"
BEFORE = (
    f"SELECT {TASKS.fields} FROM tasks WHERE number < (SELECT number FROM tasks WHERE id = ?) "
    "ORDER BY number DESC LIMIT ? OFFSET ?"
)


class Tasks:
    """The table of tasks.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, task: Task) -> bool:
        """Store a new task; return False, and leave all as it is, when its name or id is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{TASKS.insert} ON CONFLICT DO NOTHING", TASKS.row(task))
            return added.rowcount > 0

    def update(self, task: Task) -> bool:
        """Store what a task has become, by its id; return False when it is not stored."""
        with self._database.write() as connection:
            changed = connection.execute(f"{TASKS.update} WHERE id = ?", (*TASKS.changes(task), key(task.id)))
            return changed.rowcount > 0

    def find(self, id_or_name: str) -> Task | None:
        """Return a task by its id or else by its name; None when there is none."""
        with self._database.read() as connection:
            for query in (BY_ID, BY_NAME):
                row = connection.execute(query, (key(id_or_name),)).fetchone()
                if row is not None:
                    return TASKS.read(row)
        return None

    def newest(self, limit: int = 200, offset: int = 0, *, before: str | None = None) -> list[Task]:
        """Return tasks, the newest first.

        Args:
            limit: At most so many.
            offset: After so many.
            before: Those stored before the one with this id.
        """
        query, values = (
            (NEWEST, (limit, offset)) if before is None else (BEFORE, (key(before), limit, offset))
        )
        with self._database.read() as connection:
            return [TASKS.read(row) for row in connection.execute(query, values).fetchall()]

    def delete(self, task_id: str) -> bool:
        """Delete a task with its feedback; return False when it is not stored."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM feedback WHERE task_id = ?", (key(task_id),))
            return connection.execute("DELETE FROM tasks WHERE id = ?", (key(task_id),)).rowcount > 0
