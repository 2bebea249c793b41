"""Kaizen CT's prompts."""

from __future__ import annotations

from functools import partial

from starlette.types import ASGIApp

from ....platforms.base.wire import RequestModel
from ....platforms.kaizen_ct.wire import Prompt, PromptList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .ids import as_uuid, task_of
from .versions import active_of, id_of, shown


class Activation(RequestModel):
    """What names the version: the body or, as their server has it, the query."""

    version_id: str | None = None


def active(call: Call, task_id: str) -> Prompt:
    """Show the active version of a task's prompt."""
    store = call.store
    task = task_of(store, task_id)
    found = active_of(store, task)
    if found is None:
        raise Refusal(404, f"no version of the prompt of '{task.name}' is active")
    return shown(store, task, found)


def versions(call: Call, task_id: str) -> PromptList:
    """List the versions of a task's prompt, the newest first."""
    store = call.store
    task = task_of(store, task_id)
    return PromptList([shown(store, task, found) for found in reversed(store.prompts(task.name))])


async def activate(call: Call, body: Activation, query: Activation, task_id: str) -> Prompt | ASGIApp:
    """Make a version, named in the body or the query, the active one; the one before becomes archived."""
    version_id = body.version_id or query.version_id
    if version_id is None:
        raise Refusal(422, "body.version_id: Field required", code="INVALID")
    return await call.once(partial(_activate, task_id, version_id))


def _activate(task_id: str, version_id: str, store: Store) -> Prompt:
    task = task_of(store, task_id)
    wanted = as_uuid(version_id)
    found = next((known for known in store.prompts(task.name) if id_of(task, known) == wanted), None)
    if found is None:
        raise Refusal(404, f"the prompt of '{task.name}' has no version {version_id!r}")
    if store.activations.active(task.name) == found.version:
        raise Refusal(409, f"version {found.version} of '{task.name}' is active already")
    store.activations.activate(task.name, found.version)
    return shown(store, task, found)


OPERATIONS = (
    Operation("GET", "/api/v1/prompts/{task_id}", Access.READ, active, errors=(404,)),
    Operation("GET", "/api/v1/prompts/{task_id}/versions", Access.READ, versions, errors=(404,)),
    Operation("POST", "/api/v1/prompts/{task_id}/activate", Access.WRITE, activate, errors=(404, 409)),
)
