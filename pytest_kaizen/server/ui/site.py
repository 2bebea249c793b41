"""What happens to every request for a page: its session is found, its form checked, its answer drawn.

A session is begun by signing in with a key. It is a random value that only its browser has, in a cookie:
the store keeps its hash, with the key it was opened with. Whatever ends the key ends the session. Each
form carries a token that is made of the cookie, which no other site can read.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, get_origin
from urllib.parse import parse_qs

from pydantic import BaseModel, SecretStr, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from ..dispatch import OPERATION, OWN_SITE, read_body
from ..operation import Access, Call
from ..problem import Refusal
from ..state import Grant, KeyRefusedError, State
from ..table import Table
from .page import ROOT, Frame, Page, Redirect, View, drawn, redirected, url

#: A session that nobody ends lasts so long.
LASTS = timedelta(hours=12)
_SESSION = "kaizen_session"
#: Of a browser that is not signed in: its forms need a token, too.
_VISIT = "kaizen_visit"
_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 1024 * 1024
_MOST_FIELDS = 1000


class Next(BaseModel):
    """Where to go on after the sign-in."""

    next: str | None = None


class SignIn(Next):
    """The form of the sign-in."""

    key: SecretStr = SecretStr("")


async def grant_of(scope: Scope, state: State) -> Grant | None:
    """Return what the session of a request allows; None without one, or when it has ended.

    Raises:
        StoreError: The sessions cannot be read.
    """
    secret = _cookie(scope, _SESSION)
    if not secret:
        return None
    try:
        return state.grants.known(secret, session=True) or await run_in_threadpool(
            state.grants.check, secret, session=True
        )
    except KeyRefusedError:
        return None


def token_of(scope: Scope) -> str:
    """Return the token that goes with the forms of a browser; empty for one without a cookie."""
    secret = _cookie(scope, _SESSION) or _cookie(scope, _VISIT)
    return _token(secret) if secret else ""


def same_token(scope: Scope, given: str) -> bool:
    """Say whether a form has the token of the browser that sends it."""
    token = token_of(scope)
    return bool(token) and hmac.compare_digest(token, given.encode("ascii", "replace").decode())


def ask(call: Call, query: Next) -> View:
    """Ask for a key."""
    return _sign_in_page(call, query.next, None)


def enter(call: Call, body: SignIn) -> View | Redirect:
    """Open a session with a key."""
    secret = body.key.get_secret_value().strip()
    try:
        grant = call.state.grants.check(secret)
    except KeyRefusedError as exc:
        return _sign_in_page(call, body.next, str(exc))
    now = datetime.now(UTC)
    expires_at = min(now + LASTS, grant.key.expires_at or now + LASTS)
    sessions = call.state.workspaces.central.sessions
    session = sessions.open(grant.key.id, now=now, expires_at=expires_at)
    return Redirect(
        _inside_page(body.next),
        [_set_cookie(call.scope, _SESSION, session), _set_cookie(call.scope, _VISIT, "")],
    )


def leave(call: Call) -> Redirect:
    """End the session."""
    secret = _cookie(call.scope, _SESSION)
    if secret:
        call.state.workspaces.central.sessions.close(secret)
        call.state.grants.forget()
    return Redirect(url("sign-in"), [_set_cookie(call.scope, _SESSION, "")])


def _sign_in_page(call: Call, to: str | None, problem: str | None) -> View:
    cookies, token = [], token_of(call.scope)
    if not token:
        secret = secrets.token_urlsafe(32)
        cookies, token = [_set_cookie(call.scope, _VISIT, secret)], _token(secret)
    values = {"next": to, "problem": problem, "token": token}
    return View("site.sign_in", values, 200 if problem is None else 403, cookies)


def _inside_page(to: str | None) -> str:
    """Return where to go on: one of our pages, whatever was asked for."""
    # A browser takes a backslash for a slash, and two of them for another host.
    inside = to is not None and to.startswith(f"{ROOT}/") and "\\" not in to and to.isprintable()
    return to if to is not None and inside and to.isascii() else url("")


def _token(secret: str) -> str:
    return hmac.digest(secret.encode(), b"form", "sha256").hex()


def _cookie(scope: Scope, name: str) -> str:
    # As browsers read them: what other programs on this host have set is no reason to see none.
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(_cookie_name(scope, name), "")


def _set_cookie(scope: Scope, name: str, value: str) -> str:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    ends = "" if value else "; Max-Age=0"
    # Lax, so that a link in a pull request opens a page that is signed in; nothing changes by a link.
    return f"{_cookie_name(scope, name)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}"


def _cookie_name(scope: Scope, name: str) -> str:
    # No other host and no page without encryption can set a cookie of this name.
    return f"__Host-{name}" if scope["scheme"] == "https" else name


PAGES = (
    Page("GET", f"{ROOT}/sign-in", Access.PUBLIC, ask),
    Page("POST", f"{ROOT}/sign-in", Access.PUBLIC, enter),
    Page("POST", f"{ROOT}/sign-out", Access.PUBLIC, leave),
)


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
        form = await _read_form(scope, receive) if page.method == "POST" else {}
        if page.access is not Access.PUBLIC:
            if grant is None:
                return redirected(Redirect(url("sign-in", next=_page_asked_for(scope))))
            if page.access.value not in grant.key.scopes:
                has = ", ".join(grant.key.scopes)
                raise Refusal(403, f"this needs a key with the scope '{page.access.value}'; yours has: {has}")
        if page.method == "POST" and not same_token(scope, form.pop("csrf", [""])[-1]):
            raise Refusal(
                403, "this form is too old, or was not ours; go back, load the page again and resend it"
            )
        if page.query is not None:
            arguments["query"] = _parsed("query", page.query, _given_fields(scope["query_string"]))
        if page.body is not None:
            arguments["body"] = _parsed("form", page.body, form)
        call = Call(grant, self._state, scope)
        if not page.is_async:
            return await page.in_thread(call, partial(self._handled, page, call, arguments))
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


async def _read_form(scope: Scope, receive: Receive) -> dict[str, list[str]]:
    headers = Headers(scope=scope)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal(422, "this page takes a form")
    if headers.get("sec-fetch-site", "none") not in OWN_SITE:
        raise Refusal(403, "this form was sent by another site")
    return _given_fields(await read_body(receive, _LONGEST_FORM))


def _given_fields(content: bytes) -> dict[str, list[str]]:
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


def _page_asked_for(scope: Scope) -> str | None:
    """Return the page to come back to after the sign-in; None where there is none to come back to."""
    if scope["method"] != "GET":
        return None
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + b"?" * bool(query) + query).decode("latin-1")
