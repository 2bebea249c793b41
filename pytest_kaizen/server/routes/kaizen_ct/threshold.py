"""The search that enough feedback starts by itself."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from ....errors import KaizenError
from ....models import Job, JobStatus, Task
from ....pipeline import jobs
from ....pipeline.feedback.intake import due_job
from ....pipeline.search import Search
from ....pipeline.stored_prompts import active_text
from ....store import Store
from ...operation import Call
from .jobs import search_of

_log = logging.getLogger("pytest_kaizen.server")
#: After a search that failed, as it does without a model's key, feedback starts none for so long.
_AFTER_FAILURE = timedelta(minutes=10)


def is_reached(store: Store, task: Task) -> bool:
    """Say whether a task has as much new feedback as a search takes."""
    return store.feedback.count(task.id).fresh >= task.feedback_threshold


async def search_if_due(call: Call, task: Task) -> None:
    """Start a search if none is active; what fails in that is logged, the feedback is stored all the same."""
    search = search_of(call, task, "threshold")
    try:
        job = await call.write(partial(_due, task, search))
    except KaizenError as exc:
        _log.warning("no search for a better prompt of '%s': %s", task.name, exc)
        return
    if job is not None:
        call.state.worker.begin(call.workspace.id)


def _due(task: Task, search: Search, store: Store) -> Job | None:
    if not active_text(store, task.name):
        return None
    known = store.jobs.newest(task.name, kind=jobs.OPTIMIZE)
    if known and known[0].status is JobStatus.FAILED and _is_recent(known[0].finished_at):
        return None
    return due_job(store, task, search)


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and datetime.now(UTC) - moment < _AFTER_FAILURE
