"""Feedback that is logged, and files of examples: the way into the store, the search, the cases.

A case is an input, once, with the best answer that was logged for it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from ...capture import Redactor
from ...errors import KaizenError, UsageError
from ...models import SEED, UNNAMED, FeedbackEntry, Job, Task
from ...optimize import TaskCase
from ...optimize.search import input_text
from ...platforms import validation_text
from ...platforms.kaizen_ct import SeedLine, SeedResult
from ...store import Store
from .. import jobs
from ..search import Search

_log = logging.getLogger("pytest_kaizen")

#: Begins a job that is queued: here, or by telling another process of it.
Start = Callable[[Job], object]
#: Seeds that a task may have.
SEED_LIMIT = 1000
_MOST_ERRORS = 100


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


class SeedRead(NamedTuple):
    """A line of a file of examples: what it says, or what is wrong with it."""

    number: int
    seed: SeedLine | None
    error: str = ""


def read_seeds(text: str) -> Iterator[SeedRead]:
    """Read a file of examples, a JSON object on each line; blank lines are passed over."""
    # Not splitlines: a JSON text may hold other characters that end lines for it.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield SeedRead(number, SeedLine.model_validate_json(line.strip(), strict=True))
        except ValidationError as exc:
            yield SeedRead(number, None, validation_text(exc))


def add_seeds(
    store: Store, task: Task, lines: Iterable[SeedRead], redactor: Redactor, now: datetime
) -> SeedResult:
    """Store the examples of a file, those that can be; the others are named in what is returned."""
    there = store.feedback.count(task.id).seeds
    accepted = 0
    errors: list[str] = []
    for line in lines:
        error = line.error
        if line.seed is not None:
            if there + accepted >= SEED_LIMIT:
                error = f"the task has {SEED_LIMIT} seeds, as many as it may"
            else:
                try:
                    log_feedback(store, task, line.seed.to_entry(task.id, now), redactor)
                except UsageError as exc:
                    error = str(exc)
        if error:
            errors.append(f"line {line.number}: {error}")
        else:
            accepted += 1
    more = len(errors) - _MOST_ERRORS
    return SeedResult(
        accepted=accepted,
        rejected=len(errors),
        errors=errors[:_MOST_ERRORS] + ([f"and {more} more lines"] if more > 0 else []),
        total_seeds=there + accepted,
        seed_limit=SEED_LIMIT,
    )


@dataclass(frozen=True)
class LoggedCase:
    """An input that was logged, once or more often.

    Attributes:
        inputs: The input, by name.
        reference: An answer known to be good; None when none was logged.
        text: The input as a trace of it has it, so that both fall to the same side of a split.
        id: The case.
    """

    inputs: dict[str, Any]
    reference: str | None = None
    text: str = field(init=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        only = self.inputs.keys() == {UNNAMED}
        text = input_text(self.inputs[UNNAMED] if only else self.inputs)
        # Another reference gives other scores: it makes another case, on the same side of the split.
        digest = hashlib.sha256(f"{text}\0{self.reference}".encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "id", f"feedback/{digest[:16]}")

    @property
    def case(self) -> TaskCase:
        """The case as a search sees it."""
        return TaskCase(self.id, self.text)


def logged_cases(entries: Iterable[FeedbackEntry]) -> list[LoggedCase]:
    """Return the different inputs of entries, in the order they first come.

    Args:
        entries: The entries, the newest first. Those without inputs are left out.
    """
    grouped: dict[str, list[FeedbackEntry]] = {}
    for entry in entries:
        if entry.inputs is not None:
            grouped.setdefault(input_text(entry.inputs), []).append(entry)
    return [
        LoggedCase(same[0].inputs or {}, next((e.output for e in same if is_good(e)), None))
        for same in grouped.values()
    ]


def is_good(entry: FeedbackEntry) -> bool:
    """Whether an entry's output is an answer to compare with: full marks, or an example without a score."""
    return entry.output is not None and (entry.score == 1 or (entry.source == SEED and entry.score is None))
