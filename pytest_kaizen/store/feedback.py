"""Feedback: what programs logged about tasks, how much of it no search has seen, and ratings of traces."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from ..errors import JobError
from ..models import SEED, FeedbackCount, FeedbackEntry, Job, Task
from .database import Database
from .jobs import add_job
from .table import Table, key

TASKS = Table("tasks", Task, columns=("id", "name", "created_at"))
TASK_BY_ID = f"SELECT {TASKS.fields} FROM tasks WHERE id = ?"
TASK_BY_NAME = f"SELECT {TASKS.fields} FROM tasks WHERE name = ?"
NEWEST_TASKS = f"SELECT {TASKS.fields} FROM tasks ORDER BY number DESC LIMIT ? OFFSET ?"
TASKS_BEFORE = (
    f"SELECT {TASKS.fields} FROM tasks WHERE number < (SELECT number FROM tasks WHERE id = ?) "
    "ORDER BY number DESC LIMIT ? OFFSET ?"
)

FEEDBACK = Table(
    "feedback", FeedbackEntry, columns=("id", "task_id", "source", "score", "trace_id", "created_at")
)
_ADD = (
    f"{FEEDBACK.insert} ON CONFLICT (task_id, trace_id) DO UPDATE SET "
    "source = excluded.source, score = excluded.score, data = excluded.data"
)
NEWEST = (
    f"SELECT {FEEDBACK.fields} FROM feedback WHERE task_id = ? AND number <= ? "
    "ORDER BY number DESC LIMIT ? OFFSET ?"
)
#: The entries that a retention limit no longer covers: what comes after so many of the newest.
_EXPIRED = (
    "DELETE FROM feedback WHERE task_id = ?1 AND source <> ?2 AND number <= (SELECT number FROM feedback "
    "WHERE task_id = ?1 AND source <> ?2 ORDER BY number DESC LIMIT 1 OFFSET ?3)"
)
COUNT = (
    "SELECT count(*), COALESCE(sum(CASE WHEN feedback.source <> ? AND feedback.number > tasks.seen "
    "THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN feedback.source = ? THEN 1 ELSE 0 END), 0) "
    "FROM tasks JOIN feedback ON feedback.task_id = tasks.id WHERE tasks.id = ?"
)
LAST = "SELECT COALESCE(max(number), 0) FROM feedback WHERE task_id = ?"
#: No row has a number above this.
_ALL = (1 << 63) - 1


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
            for query in (TASK_BY_ID, TASK_BY_NAME):
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
            (NEWEST_TASKS, (limit, offset))
            if before is None
            else (TASKS_BEFORE, (key(before), limit, offset))
        )
        with self._database.read() as connection:
            return [TASKS.read(row) for row in connection.execute(query, values).fetchall()]

    def delete(self, task_id: str) -> bool:
        """Delete a task with its feedback; return False when it is not stored."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM feedback WHERE task_id = ?", (key(task_id),))
            return connection.execute("DELETE FROM tasks WHERE id = ?", (key(task_id),)).rowcount > 0


class FeedbackLog:
    """The table of feedback.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, task: Task, entry: FeedbackEntry) -> None:
        """Store an entry; the oldest ones beyond the task's retention limit go.

        An entry about a trace that has one already takes its place.

        Args:
            task: The task, which is stored.
            entry: The entry.

        Raises:
            StoreError: Its id is taken, or it cannot be stored.
        """
        with self._database.write() as connection:
            connection.execute(_ADD, FEEDBACK.row(entry))
            if task.feedback_retention_limit is not None:
                limit = task.feedback_retention_limit
                connection.execute(_EXPIRED, (key(task.id), SEED, limit))

    def newest(
        self, task_id: str, *, limit: int = 50, offset: int = 0, last: int | None = None
    ) -> list[FeedbackEntry]:
        """Return entries of a task, the newest first.

        Args:
            task_id: The id of the task.
            limit: At most so many.
            offset: After so many.
            last: None newer than the one with this number, as ``last`` gave it.
        """
        values = (key(task_id), _ALL if last is None else last, limit, offset)
        with self._database.read() as connection:
            return [FEEDBACK.read(row) for row in connection.execute(NEWEST, values).fetchall()]

    def count(self, task_id: str) -> FeedbackCount:
        """Count the entries of a task."""
        with self._database.read() as connection:
            total, fresh, seeds = connection.execute(COUNT, (SEED, SEED, key(task_id))).fetchone()
        return FeedbackCount(total=total, fresh=fresh, seeds=seeds)

    def add_job_if_due(self, task: Task, job: Job, *, silent_since: datetime) -> bool:
        """Store a new job if the task's threshold is reached and no other one is active.

        However many processes ask at once, one of them is told yes.

        Args:
            task: The task.
            job: The job.
            silent_since: A running job without a sign of life since then is dead.

        Returns:
            Whether the job was stored.
        """
        with self._database.write() as connection:
            _, fresh, _ = connection.execute(COUNT, (SEED, SEED, key(task.id))).fetchone()
            if fresh < task.feedback_threshold:
                return False
            try:
                add_job(connection, job, silent_since)
            except JobError:
                return False
            return True

    def last(self, task_id: str) -> int:
        """Return the number of a task's newest entry; 0 without any."""
        with self._database.read() as connection:
            number: int = connection.execute(LAST, (key(task_id),)).fetchone()[0]
        return number

    def mark_seen(self, task_id: str, last: int) -> None:
        """Note that a search that came to its end has seen a task's entries up to a number."""
        with self._database.write() as connection:
            query = "UPDATE tasks SET seen = ? WHERE id = ? AND seen < ?"
            connection.execute(query, (last, key(task_id), last))


class Rating(BaseModel, defer_build=True):
    """What somebody thinks of a trace.

    Attributes:
        rating: Thumbs up or down; None where only a comment was given.
    """

    rating: Literal["up", "down"] | None = None
    comment: str | None = None


class Ratings:
    """The table of ratings, by the id of the trace.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, trace_id: str, given: Rating) -> Rating:
        """Store a rating over an earlier one, which keeps what this one does not say; return the whole."""
        query = (
            "INSERT INTO ratings (trace_id, rating, comment) VALUES (?, ?, ?) ON CONFLICT (trace_id) "
            "DO UPDATE SET rating = COALESCE(excluded.rating, ratings.rating), "
            "comment = COALESCE(excluded.comment, ratings.comment) RETURNING rating, comment"
        )
        comment = None if given.comment is None else key(given.comment)
        with self._database.write() as connection:
            rating, comment = connection.execute(query, (key(trace_id), given.rating, comment)).fetchone()
        return Rating(rating=rating, comment=comment)

    def one(self, trace_id: str) -> Rating | None:
        """Return the rating of a trace; None when nobody has given one."""
        query = "SELECT rating, comment FROM ratings WHERE trace_id = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(trace_id),)).fetchone()
        return None if row is None else Rating(rating=row[0], comment=row[1])
