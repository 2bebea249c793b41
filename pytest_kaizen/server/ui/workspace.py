"""How a workspace is set up: its connections to other platforms, imports from them, and its API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from ...pipeline.integrations import settings
from ...platforms.kayba import ImportRequest, IntegrationTest, JobStarted
from ...store.central import Scope
from ..operation import Access, Call
from ..problem import Refusal
from ..routes import integrations as routes
from .page import ROOT, Page, Redirect, View, url

_PUT: dict[str, Callable[[Call, Any], Awaitable[object]]] = {
    "mlflow": routes.put_mlflow,
    "langsmith": routes.put_langsmith,
    "braintrust": routes.put_braintrust,
}
_Text = Annotated[str, Field(max_length=2000)] | None


class IntegrationChange(BaseModel):
    """What is to change of an integration; what is blank stays."""

    enabled: bool | None = None
    address: _Text = None
    secret: _Text = None
    project: _Text = None
    username: _Text = None
    auth_type: Literal["none", "basic", "bearer"] | None = None


class WantedImport(BaseModel):
    """Which traces are imported."""

    project: _Text = None
    since: datetime | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


def list_integrations(call: Call) -> View:
    """Show what is set, the secrets masked."""
    return _integrations(call, None, None)


async def change_integration(call: Call, body: IntegrationChange, name: str) -> Redirect:
    """Set up an integration."""
    one = _known_integration(name)
    fields = {one.address: body.address, one.secret: body.secret, one.project: body.project}
    fields |= body.model_dump(include={"enabled", "username", "auth_type"})
    given = {
        key: value for key, value in fields.items() if value is not None and key in one.config.model_fields
    }
    try:
        config = one.config.model_validate(given, by_name=True)
    except ValidationError as exc:
        raise Refusal.of_validation("form", exc) from None
    await _PUT[name](call, config)
    return Redirect(url("integrations", mark=name))


def test_integration(call: Call, name: str) -> View:
    """Try a connection and show what came of it."""
    return _integrations(call, name, routes.test(call, name))


async def start_import(call: Call, body: WantedImport, name: str) -> Redirect:
    """Start a job that imports traces."""
    wanted = ImportRequest(project=body.project, since=body.since, limit=body.limit)
    started = await routes.start_import(call, name, wanted)
    assert isinstance(started, JobStarted)
    return Redirect(url("jobs", started.job_id))


async def forget_integration(call: Call, name: str) -> Redirect:
    """Forget what is set of an integration, its secret too."""
    await routes.delete(call, name)
    return Redirect(url("integrations"))


def _integrations(call: Call, name: str | None, tested: IntegrationTest | None) -> View:
    cards = []
    for known, one in settings.KNOWN.items():
        values = settings.stored(call.store, known)
        fields = {part: getattr(values, getattr(one, part)) for part in ("address", "secret", "project")}
        cards.append((known, fields, values, one.default_url))
    return View("site.integrations", {"cards": cards, "tested": tested, "name": name})


def _known_integration(name: str) -> settings.Known:
    if name not in settings.KNOWN:
        raise Refusal(404, f"there is no integration {name!r}")
    return settings.KNOWN[name]


class NewKey(BaseModel):
    """The form for a key."""

    label: Annotated[str, Field(max_length=200)]
    scopes: tuple[Scope, ...] = ()
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None


def list_keys(call: Call) -> View:
    """List the keys of this workspace, the newest first."""
    return _listed_keys(call, None)


def create_key(call: Call, body: NewKey) -> View:
    """Make a key and show it this once."""
    if not body.scopes:
        raise Refusal(422, "form.scopes: a key needs one at least")
    expires_at = None if body.days is None else datetime.now(UTC) + timedelta(days=body.days)
    keys = call.state.workspaces.central.keys
    _, secret = keys.create(call.workspace.id, label=body.label, scopes=body.scopes, expires_at=expires_at)
    return _listed_keys(call, secret)


def revoke_key(call: Call, key_id: str) -> Redirect:
    """Close a key for good, and with it the sessions that were opened with it."""
    if call.state.workspaces.central.keys.revoke(key_id, call.workspace.id) is None:
        raise Refusal(404, f"this workspace has no key {key_id!r}")
    call.state.grants.forget()
    return Redirect(url("keys"))


def _listed_keys(call: Call, secret: str | None) -> View:
    now = datetime.now(UTC)
    keys = call.state.workspaces.central.keys.list(call.workspace.id)[::-1]
    own = call.grant.key.id if call.grant else None
    values = {"keys": [(key, key.state(now).value) for key in keys], "secret": secret, "own": own}
    return View("site.keys", {**values, "scopes": list(Scope)})


PAGES = (
    Page("GET", f"{ROOT}/integrations", Access.READ, list_integrations),
    Page("POST", f"{ROOT}/integrations/{{name}}", Access.WRITE, change_integration, errors=(404, 503)),
    Page(
        "POST", f"{ROOT}/integrations/{{name}}/test", Access.WRITE, test_integration, errors=(404,), asks=True
    ),
    Page("POST", f"{ROOT}/integrations/{{name}}/import", Access.WRITE, start_import, errors=(404, 409)),
    Page("POST", f"{ROOT}/integrations/{{name}}/forget", Access.WRITE, forget_integration, errors=(404,)),
    Page("GET", f"{ROOT}/keys", Access.ADMIN, list_keys),
    Page("POST", f"{ROOT}/keys", Access.ADMIN, create_key),
    Page("POST", f"{ROOT}/keys/{{key_id}}/revoke", Access.ADMIN, revoke_key, errors=(404,)),
)
