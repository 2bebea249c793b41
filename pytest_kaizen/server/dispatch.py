"""What happens to every request.

Around all of it: an id, figures, and an answer also when something went wrong. Within: its operation is
found, its key checked, its body read and parsed.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import StoreError
from ..store.central import Scope as KeyScope
from .operation import JSON, Access, Call, KeyHeader, Operation
from .problem import Refusal, problem_response
from .proxy import BrokenAnswerError
from .state import Grant, Grants, KeyRefusedError, Metrics, State
from .table import Table

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: What a browser says of where a request comes from, when that is one of our pages or nowhere.
OWN_SITE = ("same-origin", "none")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
#: Where the ASGI scope says which operation a request is.
OPERATION = "kaizen.operation"
_log = logging.getLogger("pytest_kaizen.server")
_ID_HEADER = b"x-request-id"
#: Ids of others go into logs and answers, so they are to be plain.
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}")
_STORE_RETRY_S = "5"


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


class ClientGoneError(Exception):
    """The client went away before its request had come."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a request's body.

    Args:
        receive: The ASGI function.
        limit: The most bytes that are taken.

    Raises:
        Refusal: It is longer (413).
        ClientGoneError: It ended before its time.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise Refusal(413, f"the body is longer than the {limit} bytes that are taken")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


class Dispatch:
    """Answers requests by the table of operations.

    Args:
        table: The operations.
        state: What handlers work with.
    """

    def __init__(self, table: Table, state: State) -> None:
        self._table = table
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            Refusal: It is not done.
            ClientGoneError: The client went away before its request had come.
        """
        operation, values = self._table.find(scope)
        scope[OPERATION] = operation
        grant = await admit(operation, scope, self._state.grants)
        if grant is not None:
            self._state.rate.take(grant.key.id)
        arguments: dict[str, Any] = dict(values)
        if operation.query is not None:
            arguments["query"] = _query(operation, scope)
        content = b""
        if operation.body is not None:
            content = await read_body(receive, self._state.config.server.max_body_bytes)
            arguments["body"] = content if operation.body is bytes else _body(operation, content)
        call = Call(grant, self._state, scope, operation.status, content)
        if operation.is_async:
            answer = await operation.handler(call, **arguments)
        else:
            answer = await operation.in_thread(call, partial(operation.handler, call, **arguments))
        await _response(operation, answer)(scope, receive, send)


def _query(operation: Operation, scope: Scope) -> Any:
    assert operation.query is not None
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    try:
        # Of a parameter that is given twice, the last counts.
        return operation.query.model_validate({name: values[-1] for name, values in given.items()})
    except ValidationError as exc:
        raise Refusal.of_validation("query", exc) from None


def _body(operation: Operation, content: bytes) -> Any:
    try:
        # Strictly: what the document says is a number is none of true, false and "1".
        return operation.body.model_validate_json(
            content if operation.needs_body else content or b"{}", strict=True
        )
    except ValidationError as exc:
        raise Refusal.of_validation("body", exc) from None


def _response(operation: Operation, answer: Any) -> ASGIApp:
    if answer is None:
        return Response(status_code=operation.status)
    if isinstance(answer, operation.answers):
        return Response(answer.to_bytes(), operation.status, media_type=JSON)
    app: ASGIApp = answer
    return app


class Outermost:
    """Gives requests an id, counts them and answers for what went wrong within.

    Args:
        app: What answers them.
        metrics: Where they are counted.
        refused: Makes the answer to a request that is not done.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        refused: Callable[[Refusal, Scope], ASGIApp] = problem_response,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request_id = _request_id(scope)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                # A provider's answer has its own, by which its support finds it.
                if not any(name == _ID_HEADER for name, _ in headers):
                    headers.append((_ID_HEADER, request_id))
                message["headers"] = headers
            await send(message)

        began = time.perf_counter()
        self._metrics.open.inc()
        try:
            refusal = await self._tried(scope, receive, send_with_id, request_id)
            if refusal is not None and not status:
                await self._refused(refusal, scope)(scope, receive, send_with_id)
        finally:
            self._metrics.open.dec()
            self._count(scope, status, time.perf_counter() - began)

    async def _tried(self, scope: Scope, receive: Receive, send: Send, request_id: bytes) -> Refusal | None:
        try:
            await self._app(scope, receive, send)
        except Refusal as exc:
            return exc
        except ClientGoneError:
            return None
        except BrokenAnswerError as exc:
            # The client sees it by a connection that ends before the answer does.
            _log.warning("request %s: the provider's answer broke off: %s", request_id.decode(), exc)
            return None
        except StoreError as exc:
            # Its message names files of the server's machine.
            _log.error("request %s: %s", request_id.decode(), exc)
            return Refusal(
                503, "the store cannot be used; try again later", headers={"Retry-After": _STORE_RETRY_S}
            )
        except Exception:
            _log.exception("request %s failed", request_id.decode())
            return Refusal(500, f"the server failed; its log says more under {request_id.decode()}")
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope.get(OPERATION)
        # Paths that are none are anybody's texts.
        path = "none" if operation is None else operation.path
        method = "none" if operation is None else operation.method
        self._metrics.requests.labels(method, path, str(status)).inc()
        self._metrics.seconds.labels(method, path).observe(seconds)


def _request_id(scope: Scope) -> bytes:
    given = next((value for name, value in scope["headers"] if name == _ID_HEADER), b"")
    return given if _PLAIN_ID.fullmatch(given) else os.urandom(8).hex().encode()
