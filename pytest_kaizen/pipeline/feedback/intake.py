"""Feedback on its way into the store, and the search that it starts when there is enough of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...capture import Redactor
from ...errors import KaizenError, UsageError
from ...models import FeedbackEntry, Job, JobStatus, Task
from ...optimize import Budget
from ...store import Store
from .. import jobs
from ..search import DEFAULT_BUDGET, KIND, Search

_log = logging.getLogger("pytest_kaizen")

#: Begins a job that is queued: here, or by telling another process of it.
Start = Callable[[Job], object]


def log_feedback(
    store: Store, task: Task, entry: FeedbackEntry, redactor: Redactor, start: Start | None = None
) -> Job | None:
    """Store an entry; if that makes the task's threshold reached, start a search.

    One search is active for a task, however many entries come at once. What fails in starting it is
    logged and kept with the job: the feedback is stored all the same.

    Args:
        store: Where it is kept.
        task: The task, which is stored.
        entry: The entry.
        redactor: Takes secrets out of it.
        start: Begins the search; None starts none.

    Returns:
        The job that was started; None when there is none.

    Raises:
        UsageError: The inputs are not those of the task's schema.
        StoreError: The entry could not be stored.
    """
    check_inputs(task, entry.inputs)
    texts = redactor.data(entry.model_dump(include={"inputs", "output", "metadata"}))
    store.feedback.add(task, entry.model_copy(update=texts))
    return None if start is None else start_if_due(store, task, start)


def start_if_due(store: Store, task: Task, start: Start) -> Job | None:
    """Start a search if the task's threshold is reached and none is active; see ``log_feedback``."""
    job = None
    try:
        job = jobs.create_if_due(store, KIND, task, search_for(task).settings)
        if job is not None:
            start(job)
    except Exception as exc:
        _log.warning("no search for a better prompt of '%s': %s", task.name, exc)
        if job is not None:
            _give_up(store, job, exc)
        return None
    return job


def search_for(task: Task, triggered_by: str = "threshold") -> Search:
    """Return the search that a task's feedback asks for."""
    budget = Budget(usd=task.cost_budget or DEFAULT_BUDGET.usd, rollouts=DEFAULT_BUDGET.rollouts)
    return Search(task.name, budget=budget, triggered_by=triggered_by, source="feedback")


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


def _give_up(store: Store, job: Job, exc: Exception) -> None:
    """End a job that nobody has begun: it would keep others from starting."""
    with suppress(KaizenError):
        if jobs.look_up(store, job.id).status is JobStatus.QUEUED:
            jobs.fail(store, jobs.claim(store, job.id), str(exc))
