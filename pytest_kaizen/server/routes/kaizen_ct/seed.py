"""Kaizen CT's seed upload: a file of examples, which a new task's first search learns from."""

from __future__ import annotations

import email
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from functools import partial
from itertools import islice
from typing import NamedTuple

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ....capture import Redactor
from ....errors import UsageError
from ....pipeline.feedback.intake import log_feedback
from ....platforms.base.failure import validation_text
from ....platforms.kaizen_ct.wire import SeedLine, SeedResult
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .ids import task_of

#: Seeds that a task may have.
SEED_LIMIT = 1000
_MOST_ERRORS = 100
#: Lines of a file that are looked at: each takes memory, and those that are wrong the most.
_MOST_LINES = 10_000
#: Parts of a form, each of which takes time; no line of the file begins as they do.
_MOST_PARTS = 100
_FORM = "multipart/form-data"


class _Line(NamedTuple):
    """A line of the file: what it says, or what is wrong with it."""

    number: int
    seed: SeedLine | None
    error: str = ""


async def seed(call: Call, body: bytes, task_id: str) -> SeedResult | ASGIApp:
    """Store the examples of a JSONL file: a form with it, or the file itself."""
    lines = await run_in_threadpool(_read, call.headers.get("content-type", ""), body)
    return await call.once(partial(_add, task_id, lines, call.state.redactor.apart(), datetime.now(UTC)))


def _read(kind: str, body: bytes) -> list[_Line]:
    content = _file_of(kind, body) if kind.lower().startswith(_FORM) else body
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Refusal(
            422, f"the file is no UTF-8: {exc.reason} at byte {exc.start}", code="INVALID"
        ) from None
    lines = list(islice(_lines(text), _MOST_LINES + 1))
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
    except (RecursionError, ValueError):
        # Thousands of parts, parts within parts without end, or a name in a form that no browser sends.
        raise Refusal(422, "the form cannot be read; give the file itself", code="INVALID") from None
    if len(found) != 1 or not isinstance(content := found[0].get_payload(decode=True), bytes):
        raise Refusal(422, "the form has no file; give one in the field 'file'", code="INVALID")
    return content


def _files(kind: str, body: bytes) -> list[Message]:
    if body.count(b"\n--") > _MOST_PARTS:
        raise ValueError(f"more than {_MOST_PARTS} parts")
    form = email.message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    parts = [part for part in form.walk() if not part.is_multipart() and part is not form]
    named = [part for part in parts if part.get_param("name", header="content-disposition") == "file"]
    return named or [part for part in parts if part.get_filename() is not None]


def _lines(text: str) -> Iterator[_Line]:
    # Not splitlines: a JSON text may hold other characters that end lines for it.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield _Line(number, SeedLine.model_validate_json(line.strip(), strict=True))
        except ValidationError as exc:
            yield _Line(number, None, validation_text(exc))


def _add(task_id: str, lines: list[_Line], redactor: Redactor, now: datetime, store: Store) -> SeedResult:
    task = task_of(store, task_id)
    there = store.feedback.count(task.id).seeds
    accepted = 0
    errors: list[str] = []
    for line in lines:
        error = line.error
        if line.seed is not None:
            if there + accepted >= SEED_LIMIT:
                error = f"the task has {SEED_LIMIT} seeds, as many as it may"
            else:
                entry = line.seed.to_entry(task.id, now)
                try:
                    log_feedback(store, task, entry, redactor)
                except UsageError as exc:
                    error = str(exc)
        if error:
            errors.append(f"line {line.number}: {error}")
        else:
            accepted += 1
    more = len(errors) - _MOST_ERRORS
    shown = errors[:_MOST_ERRORS] + ([f"and {more} more lines"] if more > 0 else [])
    return SeedResult(
        accepted=accepted,
        rejected=len(errors),
        errors=shown,
        total_seeds=there + accepted,
        seed_limit=SEED_LIMIT,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/tasks/{task_id}/seed",
        Access.WRITE,
        seed,
        errors=(404, 422),
        reads=(_FORM, "application/x-ndjson", "application/jsonl", "text/plain"),
    ),
)
