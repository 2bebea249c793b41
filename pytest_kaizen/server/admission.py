"""Who may use an operation."""

from __future__ import annotations

import ipaddress

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Scope

from ..store.keys import Scope as KeyScope
from .grant import Grant, Grants, KeyRefusedError
from .operation import Access, KeyHeader, Operation
from .problem import Refusal

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: What a browser says of where a request comes from, when that is one of our pages or nowhere.
OWN_SITE = ("same-origin", "none")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


async def admit(operation: Operation, scope: Scope, grants: Grants) -> Grant | None:
    """Return what the key of a request allows; None for a request that needs none.

    Raises:
        Refusal: It has no valid key (401), or one that does not allow this (403).
        StoreError: The keys cannot be read.
    """
    if operation.access is Access.PUBLIC:
        return None
    headers = Headers(scope=scope)
    key = given_key(headers, operation.key)
    if key is None:
        if operation.access is Access.LOCAL and is_local(scope, headers):
            return None
        raise _unknown(operation, f"give a key in the header {' or '.join(operation.key.value)}")
    try:
        grant = grants.known(key)
        if grant is None:
            grant = await run_in_threadpool(grants.check, key)
    except KeyRefusedError as exc:
        raise _unknown(operation, str(exc)) from None
    needed = KeyScope.ADMIN if operation.access is Access.LOCAL else KeyScope(operation.access.value)
    if not grant.allows(needed):
        has = ", ".join(grant.key.scopes)
        raise Refusal(403, f"this needs a key with the scope '{needed}'; this one has: {has}")
    return grant


def given_key(headers: Headers, where: KeyHeader) -> str | None:
    """Return the key that a request gives; None where it gives none."""
    for name in where.value:
        value = headers.get(name, "").strip()
        if name == "Authorization":
            scheme, _, value = value.partition(" ")
            value = value.strip() if scheme.lower() == "bearer" else ""
        if value:
            return value
    return None


def is_local(scope: Scope, headers: Headers) -> bool:
    """Say whether a request was made on this machine.

    One that a proxy on this machine passed on was not; nor was one for another host's name, or from a
    page of another site, either of which a browser here may be made to send.
    """
    client = scope.get("client")
    if client is None or any(name in headers for name in _FORWARDED):
        return False
    if headers.get("sec-fetch-site", "none") not in OWN_SITE:
        return False
    name = headers.get("host", "").lower()
    if headers.get("origin", f"http://{name}").lower() not in (f"http://{name}", f"https://{name}"):
        return False
    if name.rpartition(":")[2].isdigit():
        name = name.rpartition(":")[0]
    return name in _LOCAL_NAMES and is_loopback(client[0])


def is_loopback(host: str) -> bool:
    """Say whether an address, or the name ``localhost``, is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unknown(operation: Operation, detail: str) -> Refusal:
    challenge = {"WWW-Authenticate": "Bearer"} if operation.key is KeyHeader.USUAL else {}
    return Refusal(401, detail, headers=challenge)
