"""Feedback on its way into the store, and the search that it starts when there is enough of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...capture import Redactor
from ...errors import KaizenError, UsageError
from ...models import FeedbackEntry, Job, Task
from ...store import Store
from .. import jobs
from ..search import Search

_log = logging.getLogger("pytest_kaizen")

#: Begins a job that is queued: here, or by telling another process of it.
Start = Callable[[Job], object]


def log_feedback(store: Store, task: Task, entry: FeedbackEntry, redactor: Redactor) -> None:
    """Store an entry without its secrets; what enough of them start is ``start_if_due``.

    Args:
        store: Where it is kept.
        task: The task, which is stored.
        entry: The entry.
        redactor: Takes secrets out of it.

    Raises:
        UsageError: The inputs are not those of the task's schema.
        StoreError: The entry could not be stored.
    """
    check_inputs(task, entry.inputs)
    texts = redactor.data(entry.model_dump(include={"inputs", "output", "metadata"}))
    store.feedback.add(task, entry.model_copy(update=texts))


def start_if_due(store: Store, task: Task, search: Search, start: Start) -> Job | None:
    """Store and begin a search if the task's threshold is reached and none is active.

    One is active for a task, however many entries come at once. What fails in starting it is logged and
    kept with the job, never raised: the feedback is stored all the same.

    Returns:
        The job that was started; None when there is none.
    """
    try:
        job = due_job(store, task, search)
    except KaizenError as exc:
        _tell(task.name, exc)
        return None
    return job if job is not None and _begin(store, job, start) else None


def due_job(store: Store, task: Task, search: Search) -> Job | None:
    """Store the job that a task's feedback asks for; whoever has it begins it.

    Args:
        store: Where jobs are kept.
        task: The task.
        search: What is searched for.

    Returns:
        The job; None when the threshold is not reached or a search is active, which also another
        process may have found out just now.

    Raises:
        StoreError: It could not be stored.
    """
    return jobs.create_if_due(store, jobs.OPTIMIZE, task, search.settings)


def _begin(store: Store, job: Job, start: Start) -> bool:
    """Begin a job that is queued; return whether that worked."""
    try:
        start(job)
    except Exception as exc:
        _tell(job.task, exc)
        _give_up(store, job, exc)
        return False
    return True


def check_inputs(task: Task, inputs: dict[str, Any] | None) -> None:
    """Make sure that inputs have exactly the fields of the task's schema.

    Raises:
        UsageError: Names those that are missing and those that are too many.
    """
    if task.fields is None or inputs is None:
        return
    missing, extra = sorted(task.fields - inputs.keys()), sorted(inputs.keys() - task.fields)
    faults = [f"missing: {', '.join(missing)}"] if missing else []
    faults += [f"unknown: {', '.join(extra)}"] if extra else []
    if faults:
        raise UsageError(
            f"inputs of '{task.name}': {'; '.join(faults)} (its fields are {', '.join(sorted(task.fields))})"
        )


def _tell(task: str, exc: Exception) -> None:
    _log.warning("no search for a better prompt of '%s': %s", task, exc)


def _give_up(store: Store, job: Job, exc: Exception) -> None:
    """End a job that nobody has begun: it would keep others from starting."""
    with suppress(KaizenError):
        jobs.give_up(store, job.id, str(exc))
