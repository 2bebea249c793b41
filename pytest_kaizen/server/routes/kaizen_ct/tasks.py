"""Kaizen CT's tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.types import ASGIApp

from .... import models
from ....errors import RubricError
from ....models import JobStatus
from ....pipeline.feedback.scorer import check_evaluator
from ....pipeline.pulls import TOKEN_KIND, TOKEN_NAME
from ....platforms.kaizen_ct.wire import Task, TaskCreate, TaskList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .ids import as_uuid, task_of
from .versions import active_of

_SHORTEST_UUID = 32


class TaskQuery(BaseModel, defer_build=True):
    """What may be asked of the list.

    Attributes:
        cursor: How many tasks come before, or the id of the last of them.
        name: The task of this name alone.
    """

    cursor: Annotated[str, Field(pattern=r"^(\d{1,9}|[0-9A-Fa-f-]{32,36})$")] = "0"
    limit: Annotated[int, Field(ge=1, le=200)] = 200
    name: str | None = None


async def create(call: Call, body: TaskCreate) -> Task | ASGIApp:
    """Create a task; its name must be new."""
    task = checked(partial(body.to_task, datetime.now(UTC)))
    return await call.once(partial(_add, task, body.git_token_raw))


def list_tasks(call: Call, query: TaskQuery) -> TaskList:
    """List tasks, the newest first."""
    store = call.store
    if query.name is not None:
        found = store.tasks.find(query.name)
        named = [found] if found is not None and found.name == query.name else []
        return TaskList([shown(store, task) for task in named])
    return TaskList([shown(store, task) for task in _page(store, query)])


def _page(store: Store, query: TaskQuery) -> list[models.Task]:
    uuid = as_uuid(query.cursor) if len(query.cursor) >= _SHORTEST_UUID else None
    if uuid is None and not query.cursor.isdecimal():
        raise Refusal(422, f"query.cursor: {query.cursor!r} is neither a number nor an id", code="INVALID")
    if uuid is None:
        return store.tasks.newest(query.limit, int(query.cursor))
    if store.tasks.find(str(uuid)) is None:
        raise Refusal(422, f"query.cursor: there is no task {query.cursor!r} any more", code="INVALID")
    return store.tasks.newest(query.limit, before=str(uuid))


def get(call: Call, task_id: str) -> Task:
    """Show a task by its id or name."""
    return shown(call.store, task_of(call.store, task_id))


async def delete(call: Call, task_id: str) -> None:
    """Delete a task with its feedback and its token; its traces and prompts stay."""
    await call.write(partial(_delete, task_id))


def checked(make: Callable[[], models.Task]) -> models.Task:
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
    from ....platforms.base.key import is_visible_ascii

    token = (token or "").strip()
    if token and not is_visible_ascii(token):
        raise Refusal(
            422,
            "body.git_token_raw: has blanks or characters outside ASCII, which no token has",
            code="INVALID",
        )
    store.sealed.keep(TOKEN_KIND, task.id, TOKEN_NAME, token)


def shown(store: Store, task: models.Task) -> Task:
    """Return a task as Kaizen CT has it, with what became of it so far."""
    ended = [job.finished_at for job in store.jobs.newest(task.name) if job.status is JobStatus.COMPLETED]
    active = active_of(store, task)
    return Task.of(
        task,
        store.feedback.count(task.id),
        last_optimization=ended[0] if ended else None,
        active_prompt_score=None if active is None else active.eval_score,
    )


def _delete(task_id: str, store: Store) -> None:
    task = task_of(store, task_id)
    store.sealed.forget(TOKEN_KIND, task.id)
    store.tasks.delete(task.id)


def _add(task: models.Task, token: str | None, store: Store) -> Task:
    if not store.tasks.add(task):
        raise Refusal(409, f"there is a task {task.name!r} already")
    keep_token(store, task, token)
    return shown(store, task)


OPERATIONS = (
    Operation("POST", "/api/v1/tasks", Access.WRITE, create, status=201, errors=(409, 503)),
    Operation("GET", "/api/v1/tasks", Access.READ, list_tasks),
    Operation("GET", "/api/v1/tasks/{task_id}", Access.READ, get, errors=(404,)),
    Operation("DELETE", "/api/v1/tasks/{task_id}", Access.WRITE, delete, status=204, errors=(404,)),
)
