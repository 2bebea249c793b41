"""Kaizen CT's keys: those of the workspace that the asking key opens."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from ....platforms.kaizen_ct import KeyCreate, KeyCreated, KeyInfo, KeyList, KeyStatus
from ....store.central import ApiKey, KeyState, Scope
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..known import as_uuid, made_id

_FIRST_WORKSPACE = "default"


def status(call: Call) -> KeyStatus:
    """Say whether there are keys, and how many."""
    count = len(_active(call, None))
    return KeyStatus(has_keys=count > 0, count=count)


def list_keys(call: Call) -> KeyList:
    """List the workspace's keys."""
    return KeyList([KeyInfo(**_shown(key)) for key in _active(call, call.workspace.id)])


def create(call: Call, body: KeyCreate) -> KeyCreated:
    """Make a key that reads and writes in this workspace; its text is shown this once."""
    return _made(call, call.workspace.id, body.label or "", (Scope.READ, Scope.WRITE))


async def delete(call: Call, key_id: str) -> None:
    """Revoke a key of this workspace."""
    await run_in_threadpool(_revoke, call, as_uuid(key_id))
    call.state.grants.forget()


def bootstrap(call: Call, body: KeyCreate) -> KeyCreated:
    """Make the first key of a server, with all scopes; only from the server's own machine."""
    central = call.state.workspaces.central
    if central.keys.list():
        raise Refusal(403, "this server has had a key; `kaizen keys create` makes another")
    workspace = central.workspace(_FIRST_WORKSPACE) or central.create_workspace(_FIRST_WORKSPACE)
    return _made(call, workspace.id, body.label or "", tuple(Scope))


def _made(call: Call, workspace: str, label: str, scopes: tuple[Scope, ...]) -> KeyCreated:
    key, secret = call.state.workspaces.central.keys.create(workspace, label=label, scopes=scopes)
    return KeyCreated(**_shown(key), key=secret)


def _revoke(call: Call, wanted: UUID | None) -> None:
    for key in _active(call, call.workspace.id):
        if made_id("key", key.id) == wanted:
            call.state.workspaces.central.keys.revoke(key.id)
            return
    raise Refusal(404, "this workspace has no such key")


def _active(call: Call, workspace: str | None) -> list[ApiKey]:
    now = datetime.now(UTC)
    keys = call.state.workspaces.central.keys.list(workspace)
    return [key for key in keys if key.state(now) is KeyState.ACTIVE]


def _shown(key: ApiKey) -> dict[str, object]:
    return {"id": made_id("key", key.id), "label": key.label, "created_at": key.created_at}


OPERATIONS = (
    Operation("GET", "/api/v1/keys/status", Access.PUBLIC, status),
    Operation("GET", "/api/v1/keys", Access.ADMIN, list_keys),
    Operation("POST", "/api/v1/keys", Access.ADMIN, create, status=201),
    Operation("DELETE", "/api/v1/keys/{key_id}", Access.ADMIN, delete, status=204, errors=(404,)),
    Operation("POST", "/api/v1/keys/bootstrap", Access.LOCAL, bootstrap, status=201),
)
