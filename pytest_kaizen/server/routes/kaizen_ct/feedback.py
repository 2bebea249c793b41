"""Kaizen CT's feedback: what is logged, and the seed upload of a new task.

That is a file of examples, which the task's first search learns from.
"""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email.message import Message
from functools import partial
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from .... import models
from ....capture import Redactor
from ....errors import UsageError
from ....models import FeedbackEntry
from ....pipeline.feedback.logged import SEED_LIMIT, SeedRead, add_seeds, log_feedback, read_seeds
from ....platforms.kaizen_ct import FeedbackCreate, FeedbackList, FeedbackResult
from ....platforms.kaizen_ct.task_wire import SeedResult
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..known import task_of
from .jobs import is_threshold_reached, search_if_due
from .tasks import add_first_version, checked_task, keep_token

#: Lines of a file that are looked at: each takes memory, and those that are wrong the most.
_MOST_LINES = 10_000
#: Parts of a form, each of which takes time; no line of the file begins as they do.
_MOST_PARTS = 100
#: The head of a part that has parts itself, which no line of the file begins with either.
_PARTED = re.compile(rb"^content-type:\s*(?:message|multipart)/", re.IGNORECASE | re.MULTILINE)
_FORM = "multipart/form-data"


class FeedbackQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    task_id: str
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


async def log_entry(call: Call, body: FeedbackCreate) -> FeedbackResult | ASGIApp:
    """Log feedback; a task name that is not known yet makes the task."""
    reached: list[models.Task] = []
    redactor = call.state.redactor.apart()
    answer = await call.once(partial(_log_entry, body, redactor, datetime.now(UTC), reached))
    if reached:
        await search_if_due(call, reached[-1])
    return answer


def list_feedback(call: Call, query: FeedbackQuery) -> FeedbackList:
    """List the feedback of a task, the newest first."""
    task = task_of(call.store, query.task_id)
    entries = call.store.feedback.newest(task.id, limit=query.limit, offset=query.offset)
    return FeedbackList([FeedbackResult.of(entry) for entry in entries])


def _log_entry(
    body: FeedbackCreate, redactor: Redactor, now: datetime, reached: list[models.Task], store: Store
) -> FeedbackResult:
    task = _task(body, now, store)
    entry = body.to_entry(task.id, now)
    try:
        log_feedback(store, task, entry, redactor)
    except UsageError as exc:
        raise Refusal(422, str(exc), code="INVALID") from None
    if is_threshold_reached(store, task):
        reached.append(task)
    kept: FeedbackEntry = store.feedback.newest(task.id, limit=1)[0]
    return FeedbackResult.of(kept)


def _task(body: FeedbackCreate, now: datetime, store: Store) -> models.Task:
    if body.task_id:
        return task_of(store, body.task_id)
    known = store.tasks.find(body.task_name or "")
    if known is not None:
        return known
    task = checked_task(partial(body.to_task, now))
    store.tasks.add(task)
    keep_token(store, task, body.git_token_raw)
    if body.existing_prompt_text:
        add_first_version(store, task, body.existing_prompt_text, now)
    return task


async def upload_seeds(call: Call, body: bytes, task_id: str) -> SeedResult | ASGIApp:
    """Store the examples of a JSONL file: a form with it, or the file itself."""
    lines = await run_in_threadpool(_read_seeds, call.headers.get("content-type", ""), body)
    return await call.once(
        partial(_add_seeds, task_id, lines, call.state.redactor.apart(), datetime.now(UTC))
    )


def _read_seeds(kind: str, body: bytes) -> list[SeedRead]:
    content = _file_of(kind, body) if kind.lower().startswith(_FORM) else body
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Refusal(
            422, f"the file is no UTF-8: {exc.reason} at byte {exc.start}", code="INVALID"
        ) from None
    lines = list(islice(read_seeds(text), _MOST_LINES + 1))
    if len(lines) > _MOST_LINES:
        problem = f"the file has more than {_MOST_LINES} lines; a task has {SEED_LIMIT} seeds at most"
        raise Refusal(422, problem, code="INVALID")
    if not lines:
        raise Refusal(422, "the file is empty; it has a JSON object on each line", code="INVALID")
    return lines


def _file_of(kind: str, body: bytes) -> bytes:
    """Return the file in a form: the field ``file``, else the only one that is a file.

    Raises:
        Refusal: There is none, or the form cannot be read (422).
    """
    try:
        found = _files(kind, body)
    except ValueError:
        # Thousands of parts, parts within parts, or a name in a form that no browser sends.
        raise Refusal(422, "the form cannot be read; give the file itself", code="INVALID") from None
    if len(found) != 1 or not isinstance(content := found[0].get_payload(decode=True), bytes):
        raise Refusal(422, "the form has no file; give one in the field 'file'", code="INVALID")
    return content


def _files(kind: str, body: bytes) -> list[Message]:
    if body.count(b"\n--") > _MOST_PARTS:
        raise ValueError(f"more than {_MOST_PARTS} parts")
    if _PARTED.search(body):
        # Reading them recurses, as deep as whoever sends them likes.
        raise ValueError("parts within parts")
    form = email.message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    parts = [part for part in form.walk() if not part.is_multipart() and part is not form]
    named = [part for part in parts if part.get_param("name", header="content-disposition") == "file"]
    return named or [part for part in parts if part.get_filename() is not None]


def _add_seeds(
    task_id: str, lines: list[SeedRead], redactor: Redactor, now: datetime, store: Store
) -> SeedResult:
    return add_seeds(store, task_of(store, task_id), lines, redactor, now)


OPERATIONS = (
    Operation("POST", "/api/v1/feedback", Access.WRITE, log_entry, status=201, errors=(404, 503)),
    Operation("GET", "/api/v1/feedback", Access.READ, list_feedback, errors=(404,)),
    Operation(
        "POST",
        "/api/v1/tasks/{task_id}/seed",
        Access.WRITE,
        upload_seeds,
        errors=(404, 422),
        reads=(_FORM, "application/x-ndjson", "application/jsonl", "text/plain"),
    ),
)
