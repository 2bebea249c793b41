"""The API keys of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from ...store.keys import Scope
from ..operation import Access, Call
from ..problem import Refusal
from .page import ROOT, Page, Redirect, View, url


class NewKey(BaseModel):
    """The form for a key."""

    label: Annotated[str, Field(max_length=200)]
    scopes: tuple[Scope, ...] = ()
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None


def list_keys(call: Call) -> View:
    """List the keys of this workspace, the newest first."""
    return _listed(call, None)


def create(call: Call, body: NewKey) -> View:
    """Make a key and show it this once."""
    if not body.scopes:
        raise Refusal(422, "form.scopes: a key needs one at least")
    expires_at = None if body.days is None else datetime.now(UTC) + timedelta(days=body.days)
    keys = call.state.workspaces.central.keys
    _, secret = keys.create(call.workspace.id, label=body.label, scopes=body.scopes, expires_at=expires_at)
    return _listed(call, secret)


def revoke(call: Call, key_id: str) -> Redirect:
    """Close a key for good, and with it the sessions that were opened with it."""
    if call.state.workspaces.central.keys.revoke(key_id, call.workspace.id) is None:
        raise Refusal(404, f"this workspace has no key {key_id!r}")
    call.state.grants.forget()
    return Redirect(url("keys"))


def _listed(call: Call, secret: str | None) -> View:
    now = datetime.now(UTC)
    keys = call.state.workspaces.central.keys.list(call.workspace.id)[::-1]
    own = call.grant.key.id if call.grant else None
    values = {"keys": [(key, key.state(now).value) for key in keys], "secret": secret, "own": own}
    return View("site.keys", {**values, "scopes": list(Scope)})


PAGES = (
    Page("GET", f"{ROOT}/keys", Access.ADMIN, list_keys),
    Page("POST", f"{ROOT}/keys", Access.ADMIN, create),
    Page("POST", f"{ROOT}/keys/{{key_id}}/revoke", Access.ADMIN, revoke, errors=(404,)),
)
