"""Connections to other platforms, and imports from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from ...pipeline.integrations import settings
from ...platforms.kayba.wire import ImportRequest, IntegrationTest, JobStarted
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


class Change(BaseModel):
    """What is to change of an integration; what is blank stays."""

    enabled: bool | None = None
    address: _Text = None
    secret: _Text = None
    project: _Text = None
    username: _Text = None
    auth_type: Literal["none", "basic", "bearer"] | None = None


class Wanted(BaseModel):
    """Which traces are imported."""

    project: _Text = None
    since: datetime | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


def show(call: Call) -> View:
    """Show what is set, the secrets masked."""
    return _shown(call, None, None)


async def change(call: Call, body: Change, name: str) -> Redirect:
    """Set up an integration."""
    one = _known(name)
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


def test(call: Call, name: str) -> View:
    """Try a connection and show what came of it."""
    return _shown(call, name, routes.test(call, name))


async def start_import(call: Call, body: Wanted, name: str) -> Redirect:
    """Start a job that imports traces."""
    wanted = ImportRequest(project=body.project, since=body.since, limit=body.limit)
    started = await routes.start_import(call, name, wanted)
    assert isinstance(started, JobStarted)
    return Redirect(url("jobs", started.job_id))


async def forget(call: Call, name: str) -> Redirect:
    """Forget what is set of an integration, its secret too."""
    await routes.delete(call, name)
    return Redirect(url("integrations"))


def _shown(call: Call, name: str | None, tested: IntegrationTest | None) -> View:
    cards = []
    for known, one in settings.KNOWN.items():
        values = settings.stored(call.store, known)
        fields = {part: getattr(values, getattr(one, part)) for part in ("address", "secret", "project")}
        cards.append((known, fields, values, one.default_url))
    return View("site.integrations", {"cards": cards, "tested": tested, "name": name})


def _known(name: str) -> settings.Known:
    if name not in settings.KNOWN:
        raise Refusal(404, f"there is no integration {name!r}")
    return settings.KNOWN[name]


PAGES = (
    Page("GET", f"{ROOT}/integrations", Access.READ, show),
    Page("POST", f"{ROOT}/integrations/{{name}}", Access.WRITE, change, errors=(404, 503)),
    Page("POST", f"{ROOT}/integrations/{{name}}/test", Access.WRITE, test, errors=(404,)),
    Page("POST", f"{ROOT}/integrations/{{name}}/import", Access.WRITE, start_import, errors=(404, 409)),
    Page("POST", f"{ROOT}/integrations/{{name}}/forget", Access.WRITE, forget, errors=(404,)),
)
