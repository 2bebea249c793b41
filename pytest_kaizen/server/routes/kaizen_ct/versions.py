"""Prompt versions as Kaizen CT knows them: with ids, and one of a task active."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from ....models import PromptVersion, Task
from ....platforms.kaizen_ct.wire import Prompt
from ....store import Store
from .ids import made_id

_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


def id_of(task: Task, version: PromptVersion) -> UUID:
    """Return the id of a version."""
    return made_id("prompt", task.id, version.version)


def active_of(store: Store, task: Task) -> PromptVersion | None:
    """Return the active version of a task; None while none is."""
    number = store.activations.active(task.name)
    return next((found for found in store.prompts(task.name) if found.version == number), None)


def shown(store: Store, task: Task, version: PromptVersion) -> Prompt:
    """Return a version as Kaizen CT has it."""
    return Prompt(
        id=id_of(task, version),
        task_id=UUID(task.id),
        version_number=version.version,
        prompt_text=version.text,
        eval_score=version.eval_score,
        status=store.activations.status(task.name, version.version),
        created_at=version.created_at or _UNKNOWN,
    )


def add_first(store: Store, task: Task, text: str, now: datetime) -> None:
    """Store the prompt that a new task has already, as its active version."""
    version = PromptVersion(
        task=task.name,
        version=1,
        sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        text=text,
        source="platform",
        created_at=now,
    )
    if not store.prompts(task.name):
        store.save_prompts([version])
        store.activations.activate(task.name, 1)
