"""Tasks, feedback and scores over the local store, by the calls of Kaizen CT's client."""

from __future__ import annotations

from ...errors import UsageError
from ...models import Task
from ...platforms.kaizen_ct import FeedbackResult
from ...platforms.kaizen_ct.task_wire import Task as WireTask
from ...store import Store
from ..ratings import score_trace


class LocalCT:
    """The local store, behind those calls.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def list_tasks(self) -> list[WireTask]:
        """Return all tasks, the newest first."""
        return [self._shown(task) for task in self._store.tasks.newest()]

    def get_task(self, task_id: str) -> WireTask:
        """Return a task by its id or name; raises as ``find_task``."""
        return self._shown(find_task(self._store, task_id))

    def add_task(self, task: Task) -> WireTask:
        """Store a new task.

        Raises:
            UsageError: Its name is taken.
        """
        if not self._store.tasks.add(task):
            raise UsageError(f"a task '{task.name}' is there already: `kaizen tasks show {task.name}`")
        return self._shown(task)

    def delete_task(self, task_id: str) -> None:
        """Delete a task with its feedback; its traces and prompts stay. Raises as ``find_task``."""
        self._store.tasks.delete(find_task(self._store, task_id).id)

    def list_feedback(self, task_id: str, limit: int = 50) -> list[FeedbackResult]:
        """Return the feedback of a task, the newest first; raises as ``find_task``."""
        task = find_task(self._store, task_id)
        return [FeedbackResult.of(entry) for entry in self._store.feedback.newest(task.id, limit=limit)]

    def score(self, trace_id: str, score: float, scored_by: str) -> None:
        """Give a trace a score; it is feedback where the task's feedback is traces.

        Raises:
            StoreError: There is no such trace, or several are meant.
        """
        score_trace(self._store, self._store.trace(trace_id), score, scored_by)

    def _shown(self, task: Task) -> WireTask:
        return WireTask.of(task, self._store.feedback.count(task.id))


def find_task(store: Store, id_or_name: str) -> Task:
    """Return a task.

    Raises:
        UsageError: There is none of that name or id.
    """
    task = store.tasks.find(id_or_name)
    if task is None:
        names = ", ".join(sorted(found.name for found in store.tasks.newest()))
        raise UsageError(f"no task '{id_or_name}' has feedback here (there are: {names or 'none'})")
    return task
