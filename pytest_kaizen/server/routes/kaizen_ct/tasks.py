"""Kaizen CT's tasks and their prompts: versions with ids, of which one of a task is active."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError
from starlette.types import ASGIApp

from .... import models
from ....errors import RubricError
from ....models import JobStatus, PromptVersion
from ....pipeline import jobs
from ....pipeline.feedback import check_evaluator
from ....pipeline.pulls import TOKEN_KIND, TOKEN_NAME
from ....platforms import RequestModel
from ....platforms.kaizen_ct import Prompt, PromptList
from ....platforms.kaizen_ct.task_wire import Task, TaskCreate, TaskList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..known import as_uuid, made_id, task_of

_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_UUID = 32


def version_id_of(task: models.Task, version: PromptVersion) -> UUID:
    """Return the id of a version."""
    return made_id("prompt", task.id, version.version)


def active_version_of(store: Store, task: models.Task) -> PromptVersion | None:
    """Return the active version of a task; None while none is."""
    number = store.activations.active(task.name)
    return None if number is None else store.prompt(task.name, number)


def shown_prompt(store: Store, task: models.Task, version: PromptVersion) -> Prompt:
    """Return a version as Kaizen CT has it."""
    return Prompt(
        id=version_id_of(task, version),
        task_id=UUID(task.id),
        version_number=version.version,
        prompt_text=version.text,
        eval_score=version.eval_score,
        status=store.activations.status(task.name, version.version),
        created_at=version.created_at or _UNKNOWN_TIME,
    )


def add_first_version(store: Store, task: models.Task, text: str, now: datetime) -> None:
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


class TaskQuery(BaseModel, defer_build=True):
    """What may be asked of the list.

    Attributes:
        cursor: How many tasks come before, or the id of the last of them.
        name: The task of this name alone.
    """

    cursor: Annotated[str, Field(pattern=r"^(\d{1,9}|[0-9A-Fa-f-]{32,36})$")] = "0"
    limit: Annotated[int, Field(ge=1, le=200)] = 200
    name: str | None = None


async def create_task(call: Call, body: TaskCreate) -> Task | ASGIApp:
    """Create a task; its name must be new."""
    task = checked_task(partial(body.to_task, datetime.now(UTC)))
    return await call.once(partial(_add_task, task, body.git_token_raw))


def list_tasks(call: Call, query: TaskQuery) -> TaskList:
    """List tasks, the newest first."""
    store = call.store
    if query.name is not None:
        found = store.tasks.find(query.name)
        named = [found] if found is not None and found.name == query.name else []
        return TaskList([shown_task(store, task) for task in named])
    return TaskList([shown_task(store, task) for task in _page(store, query)])


def _page(store: Store, query: TaskQuery) -> list[models.Task]:
    uuid = as_uuid(query.cursor) if len(query.cursor) >= _SHORTEST_UUID else None
    if uuid is None and not query.cursor.isdecimal():
        raise Refusal(422, f"query.cursor: {query.cursor!r} is neither a number nor an id", code="INVALID")
    if uuid is None:
        return store.tasks.newest(query.limit, int(query.cursor))
    if store.tasks.find(str(uuid)) is None:
        raise Refusal(422, f"query.cursor: there is no task {query.cursor!r} any more", code="INVALID")
    return store.tasks.newest(query.limit, before=str(uuid))


def get_task(call: Call, task_id: str) -> Task:
    """Show a task by its id or name."""
    return shown_task(call.store, task_of(call.store, task_id))


async def delete_task(call: Call, task_id: str) -> None:
    """Delete a task with its feedback and its token; its traces and prompts stay."""
    await call.write(partial(_delete_task, task_id))


def checked_task(make: Callable[[], models.Task]) -> models.Task:
    """Return the task that a request asks for.

    Raises:
        Refusal: It cannot be, or no search could use it (422).
    """
    try:
        task = make()
        if task.evaluator_config is not None:
            check_evaluator(task.evaluator_config)
    except ValidationError as exc:
        raise Refusal.of_validation("body", exc) from None
    except RubricError as exc:
        # The text is no file's, so its lines say nothing.
        said = str(exc).replace("evaluator_config:1:", "evaluator_config:", 1)
        raise Refusal(422, f"body.{said}", code="INVALID") from None
    return task


def keep_token(store: Store, task: models.Task, token: str | None) -> None:
    """Store the token for a task's git host, encrypted; a task has it until it is deleted.

    Raises:
        Refusal: It can be no token (422).
    """
    # With it comes an HTTP client, which a server's start need not wait for.
    from ....platforms.connections import is_visible_ascii

    token = (token or "").strip()
    if token and not is_visible_ascii(token):
        raise Refusal(
            422,
            "body.git_token_raw: has blanks or characters outside ASCII, which no token has",
            code="INVALID",
        )
    store.sealed.keep(TOKEN_KIND, task.id, TOKEN_NAME, token)


def shown_task(store: Store, task: models.Task) -> Task:
    """Return a task as Kaizen CT has it, with what became of it so far."""
    ended = store.jobs.newest(task.name, kind=jobs.OPTIMIZE, status=JobStatus.COMPLETED, limit=1)
    active = active_version_of(store, task)
    return Task.of(
        task,
        store.feedback.count(task.id),
        last_optimization=ended[0].finished_at if ended else None,
        active_prompt_score=None if active is None else active.eval_score,
    )


def _delete_task(task_id: str, store: Store) -> None:
    task = task_of(store, task_id)
    store.sealed.forget(TOKEN_KIND, task.id)
    store.tasks.delete(task.id)


def _add_task(task: models.Task, token: str | None, store: Store) -> Task:
    if not store.tasks.add(task):
        raise Refusal(409, f"there is a task {task.name!r} already")
    keep_token(store, task, token)
    return shown_task(store, task)


class Activation(RequestModel):
    """What names the version: the body or, as their server has it, the query."""

    version_id: str | None = None


def get_active_version(call: Call, task_id: str) -> Prompt:
    """Show the active version of a task's prompt."""
    store = call.store
    task = task_of(store, task_id)
    found = active_version_of(store, task)
    if found is None:
        raise Refusal(404, f"no version of the prompt of '{task.name}' is active")
    return shown_prompt(store, task, found)


def list_versions(call: Call, task_id: str) -> PromptList:
    """List the versions of a task's prompt, the newest first."""
    store = call.store
    task = task_of(store, task_id)
    return PromptList([shown_prompt(store, task, found) for found in reversed(store.prompts(task.name))])


async def activate_version(call: Call, body: Activation, query: Activation, task_id: str) -> Prompt | ASGIApp:
    """Make a version, named in the body or the query, the active one; the one before becomes archived."""
    version_id = body.version_id or query.version_id
    if version_id is None:
        raise Refusal(422, "body.version_id: Field required", code="INVALID")
    return await call.once(partial(_activate_version, task_id, version_id))


def _activate_version(task_id: str, version_id: str, store: Store) -> Prompt:
    task = task_of(store, task_id)
    wanted = as_uuid(version_id)
    found = next((known for known in store.prompts(task.name) if version_id_of(task, known) == wanted), None)
    if found is None:
        raise Refusal(404, f"the prompt of '{task.name}' has no version {version_id!r}")
    if store.activations.active(task.name) == found.version:
        raise Refusal(409, f"version {found.version} of '{task.name}' is active already")
    store.activations.activate(task.name, found.version)
    return shown_prompt(store, task, found)


OPERATIONS = (
    Operation("POST", "/api/v1/tasks", Access.WRITE, create_task, status=201, errors=(409, 503)),
    Operation("GET", "/api/v1/tasks", Access.READ, list_tasks),
    Operation("GET", "/api/v1/tasks/{task_id}", Access.READ, get_task, errors=(404,)),
    Operation("DELETE", "/api/v1/tasks/{task_id}", Access.WRITE, delete_task, status=204, errors=(404,)),
    Operation("GET", "/api/v1/prompts/{task_id}", Access.READ, get_active_version, errors=(404,)),
    Operation("GET", "/api/v1/prompts/{task_id}/versions", Access.READ, list_versions, errors=(404,)),
    Operation(
        "POST", "/api/v1/prompts/{task_id}/activate", Access.WRITE, activate_version, errors=(404, 409)
    ),
)
