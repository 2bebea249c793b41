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
    keys, scopes = call.state.workspaces.central.keys, (Scope.READ, Scope.WRITE)
    return _made(*keys.create(call.workspace.id, label=body.label or "", scopes=scopes))


async def delete(call: Call, key_id: str) -> None:
    """Revoke a key of this workspace."""
    await run_in_threadpool(_revoke, call, as_uuid(key_id))
    call.state.grants.forget()


def bootstrap(call: Call, body: KeyCreate) -> KeyCreated:
    """Make the first key of a server, with all scopes; only from the server's own machine."""
    made = call.state.workspaces.central.keys.first(_FIRST_WORKSPACE, label=body.label or "")
    if made is None:
        raise Refusal(403, "this server has had a key; `kaizen keys create` makes another")
    return _made(*made)


def _made(key: ApiKey, secret: str) -> KeyCreated:
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
