"""Kaizen CT's tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.types import ASGIApp

from .... import models
from ....models import JobStatus
from ....platforms.kaizen_ct.wire import Task, TaskCreate, TaskList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .ids import task_of
from .versions import active_of


class TaskQuery(BaseModel, defer_build=True):
    """What may be asked of the list.

    Attributes:
        cursor: How many tasks come before.
        name: The task of this name alone.
    """

    cursor: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 200
    name: str | None = None


async def create(call: Call, body: TaskCreate) -> Task | ASGIApp:
    """Create a task; its name must be new."""
    task = new_task(body)
    return await call.once(partial(_add, task))


def list_tasks(call: Call, query: TaskQuery) -> TaskList:
    """List tasks, the newest first."""
    store = call.store
    if query.name is not None:
        found = store.tasks.find(query.name)
        named = [found] if found is not None and found.name == query.name else []
        return TaskList([shown(store, task) for task in named])
    return TaskList([shown(store, task) for task in store.tasks.newest(query.limit, query.cursor)])


def get(call: Call, task_id: str) -> Task:
    """Show a task by its id or name."""
    return shown(call.store, task_of(call.store, task_id))


async def delete(call: Call, task_id: str) -> None:
    """Delete a task with its feedback; its traces and prompts stay."""
    await call.write(lambda store: store.tasks.delete(task_of(store, task_id).id))


def new_task(body: TaskCreate) -> models.Task:
    """Return the task that a request asks for.

    Raises:
        Refusal: It cannot be (422).
    """
    try:
        return body.to_task(datetime.now(UTC))
    except ValidationError as exc:
        raise Refusal.of_validation("body", exc) from None


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


def _add(task: models.Task, store: Store) -> Task:
    if not store.tasks.add(task):
        raise Refusal(409, f"there is a task {task.name!r} already")
    return shown(store, task)


OPERATIONS = (
    Operation("POST", "/api/v1/tasks", Access.WRITE, create, status=201, errors=(409,)),
    Operation("GET", "/api/v1/tasks", Access.READ, list_tasks),
    Operation("GET", "/api/v1/tasks/{task_id}", Access.READ, get, errors=(404,)),
    Operation("DELETE", "/api/v1/tasks/{task_id}", Access.WRITE, delete, status=204, errors=(404,)),
)
