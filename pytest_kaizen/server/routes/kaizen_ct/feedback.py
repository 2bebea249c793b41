"""Kaizen CT's feedback."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from .... import models
from ....capture import Redactor
from ....errors import UsageError
from ....models import FeedbackEntry
from ....pipeline.feedback.intake import log_feedback
from ....platforms.kaizen_ct.wire import FeedbackCreate, FeedbackList, FeedbackResult
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .ids import task_of
from .tasks import checked, keep_token
from .threshold import is_reached, search_if_due
from .versions import add_first


class FeedbackQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    task_id: str
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


async def log(call: Call, body: FeedbackCreate) -> FeedbackResult | ASGIApp:
    """Log feedback; a task name that is not known yet makes the task."""
    reached: list[models.Task] = []
    redactor = call.state.redactor.apart()
    answer = await call.once(partial(_log, body, redactor, datetime.now(UTC), reached))
    if reached:
        await search_if_due(call, reached[-1])
    return answer


def list_feedback(call: Call, query: FeedbackQuery) -> FeedbackList:
    """List the feedback of a task, the newest first."""
    task = task_of(call.store, query.task_id)
    entries = call.store.feedback.newest(task.id, limit=query.limit, offset=query.offset)
    return FeedbackList([FeedbackResult.of(entry) for entry in entries])


def _log(
    body: FeedbackCreate, redactor: Redactor, now: datetime, reached: list[models.Task], store: Store
) -> FeedbackResult:
    task = _task(body, now, store)
    entry = body.to_entry(task.id, now)
    try:
        log_feedback(store, task, entry, redactor)
    except UsageError as exc:
        raise Refusal(422, str(exc), code="INVALID") from None
    if is_reached(store, task):
        reached.append(task)
    kept: FeedbackEntry = store.feedback.newest(task.id, limit=1)[0]
    return FeedbackResult.of(kept)


def _task(body: FeedbackCreate, now: datetime, store: Store) -> models.Task:
    if body.task_id:
        return task_of(store, body.task_id)
    known = store.tasks.find(body.task_name or "")
    if known is not None:
        return known
    task = checked(partial(body.to_task, now))
    store.tasks.add(task)
    keep_token(store, task, body.git_token_raw)
    if body.existing_prompt_text:
        add_first(store, task, body.existing_prompt_text, now)
    return task


OPERATIONS = (
    Operation("POST", "/api/v1/feedback", Access.WRITE, log, status=201, errors=(404, 503)),
    Operation("GET", "/api/v1/feedback", Access.READ, list_feedback, errors=(404,)),
)
