"""Signing in with a key, and the cookie that stands for it.

A session is a random value that only its browser has: the store keeps its hash, with the key it was
opened with. Whatever ends the key ends the session. Each form carries a token that is made of the
cookie, which no other site can read.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from ..grant import Grant, KeyRefusedError
from ..operation import Access, Call
from ..state import State
from .page import ROOT, Page, Redirect, View, url

#: A session that nobody ends lasts so long.
LASTS = timedelta(hours=12)
_SESSION = "kaizen_session"
#: Of a browser that is not signed in: its forms need a token, too.
_VISIT = "kaizen_visit"


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
    return _asking(call, query.next, None)


def enter(call: Call, body: SignIn) -> View | Redirect:
    """Open a session with a key."""
    secret = body.key.get_secret_value().strip()
    try:
        grant = call.state.grants.check(secret)
    except KeyRefusedError as exc:
        return _asking(call, body.next, str(exc))
    now = datetime.now(UTC)
    expires_at = min(now + LASTS, grant.key.expires_at or now + LASTS)
    sessions = call.state.workspaces.central.sessions
    session = sessions.open(grant.key.id, now=now, expires_at=expires_at)
    return Redirect(_inside(body.next), [_set(call.scope, _SESSION, session), _set(call.scope, _VISIT, "")])


def leave(call: Call) -> Redirect:
    """End the session."""
    secret = _cookie(call.scope, _SESSION)
    if secret:
        call.state.workspaces.central.sessions.close(secret)
        call.state.grants.forget()
    return Redirect(url("sign-in"), [_set(call.scope, _SESSION, "")])


def _asking(call: Call, to: str | None, problem: str | None) -> View:
    cookies, token = [], token_of(call.scope)
    if not token:
        secret = secrets.token_urlsafe(32)
        cookies, token = [_set(call.scope, _VISIT, secret)], _token(secret)
    values = {"next": to, "problem": problem, "token": token}
    return View("site.sign_in", values, 200 if problem is None else 403, cookies)


def _inside(to: str | None) -> str:
    """Return where to go on: one of our pages, whatever was asked for."""
    # A browser takes a backslash for a slash, and two of them for another host.
    inside = to is not None and to.startswith(f"{ROOT}/") and "\\" not in to and to.isprintable()
    return to if to is not None and inside and to.isascii() else url("")


def _token(secret: str) -> str:
    return hmac.digest(secret.encode(), b"form", "sha256").hex()


def _cookie(scope: Scope, name: str) -> str:
    # As browsers read them: what other programs on this host have set is no reason to see none.
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(_name(scope, name), "")


def _set(scope: Scope, name: str, value: str) -> str:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    ends = "" if value else "; Max-Age=0"
    # Lax, so that a link in a pull request opens a page that is signed in; nothing changes by a link.
    return f"{_name(scope, name)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}"


def _name(scope: Scope, name: str) -> str:
    # No other host and no page without encryption can set a cookie of this name.
    return f"__Host-{name}" if scope["scheme"] == "https" else name


PAGES = (
    Page("GET", f"{ROOT}/sign-in", Access.PUBLIC, ask),
    Page("POST", f"{ROOT}/sign-in", Access.PUBLIC, enter),
    Page("POST", f"{ROOT}/sign-out", Access.PUBLIC, leave),
)
