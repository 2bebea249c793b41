"""What happens to every request for a page: its session is found, its form checked, its answer drawn."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, get_origin
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..admission import OWN_SITE
from ..dispatch import OPERATION
from ..grant import Grant
from ..limits import read_body
from ..operation import Access, Call
from ..problem import Refusal
from ..state import State
from ..table import Table
from .page import ROOT, Frame, Page, Redirect, View, drawn, redirected, url
from .session import grant_of, same_token, token_of

_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 1024 * 1024
_MOST_FIELDS = 1000


class Site:
    """Answers requests for pages by the table of pages.

    Args:
        pages: The table's rows.
        state: What handlers work with.
    """

    def __init__(self, pages: Iterable[Page], state: State) -> None:
        self._table = Table(pages)
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that is not done with a page that says why."""
        grant: Grant | None = None
        try:
            grant = await grant_of(scope, self._state)
            if grant is not None:
                self._state.rate.take(grant.key.id)
            page, values = self._table.find(scope)
            assert isinstance(page, Page)
            scope[OPERATION] = page
            answer = await self._answer(page, dict(values), grant, scope, receive)
        except Refusal as exc:
            answer = await run_in_threadpool(self._refused, exc, grant, scope)
        await answer(scope, receive, send)

    async def _answer(
        self, page: Page, arguments: dict[str, Any], grant: Grant | None, scope: Scope, receive: Receive
    ) -> Any:
        form = await _form(scope, receive) if page.method == "POST" else {}
        if page.access is not Access.PUBLIC:
            if grant is None:
                return redirected(Redirect(url("sign-in", next=_asked(scope))))
            if page.access.value not in grant.key.scopes:
                has = ", ".join(grant.key.scopes)
                raise Refusal(403, f"this needs a key with the scope '{page.access.value}'; yours has: {has}")
        if page.method == "POST" and not same_token(scope, form.pop("csrf", [""])[-1]):
            raise Refusal(
                403, "this form is too old, or was not ours; go back, load the page again and resend it"
            )
        if page.query is not None:
            arguments["query"] = _parsed("query", page.query, _given(scope["query_string"]))
        if page.body is not None:
            arguments["body"] = _parsed("form", page.body, form)
        call = Call(grant, self._state, scope)
        if not page.is_async:
            return await run_in_threadpool(self._handled, page, call, arguments)
        return await run_in_threadpool(self._finished, await page.handler(call, **arguments), grant, scope)

    def _handled(self, page: Page, call: Call, arguments: dict[str, Any]) -> Any:
        return self._finished(page.handler(call, **arguments), call.grant, call.scope)

    def _finished(self, answer: Any, grant: Grant | None, scope: Scope) -> Any:
        if isinstance(answer, View):
            return drawn(answer, self._frame(grant, scope))
        return redirected(answer) if isinstance(answer, Redirect) else answer

    def _refused(self, refusal: Refusal, grant: Grant | None, scope: Scope) -> ASGIApp:
        return refused_page(refusal, self._frame(grant, scope))

    def _frame(self, grant: Grant | None, scope: Scope) -> Frame:
        if grant is None:
            return Frame(token_of(scope), scope["path"])
        place = self._state.workspaces.central.workspace(grant.workspace.id)
        name = grant.workspace.id if place is None else place.name
        return Frame(token_of(scope), scope["path"], grant.key.label, name, tuple(grant.key.scopes))


def is_page(scope: Scope) -> bool:
    """Say whether a request is for a page."""
    path: str = scope["path"]
    return path == ROOT or path.startswith(f"{ROOT}/")


def refused_page(refusal: Refusal, frame: Frame | None = None) -> ASGIApp:
    """Return the page of a request that is not done; without a frame where it is not known who asks."""
    values = {"title": HTTPStatus(refusal.status).phrase, "detail": refusal.detail}
    answer = drawn(View("site.error", values, refusal.status), frame or Frame())
    answer.headers.update(refusal.headers)
    return answer


async def _form(scope: Scope, receive: Receive) -> dict[str, list[str]]:
    headers = Headers(scope=scope)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal(422, "this page takes a form")
    if headers.get("sec-fetch-site", "none") not in OWN_SITE:
        raise Refusal(403, "this form was sent by another site")
    return _given(await read_body(receive, _LONGEST_FORM))


def _given(content: bytes) -> dict[str, list[str]]:
    try:
        # Fields that were left blank were not given.
        return parse_qs(content.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError:
        raise Refusal(422, "these fields cannot be read") from None


def _parsed(where: str, model: type[BaseModel], given: dict[str, list[str]]) -> BaseModel:
    fields = model.model_fields
    values = {
        name: found if name in fields and get_origin(fields[name].annotation) is tuple else found[-1]
        for name, found in given.items()
    }
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise Refusal.of_validation(where, exc) from None


def _asked(scope: Scope) -> str | None:
    """Return the page to come back to after the sign-in; None where there is none to come back to."""
    if scope["method"] != "GET":
        return None
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + b"?" * bool(query) + query).decode("latin-1")
