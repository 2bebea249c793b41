"""From an HTTP request to the scripted answer, in the shape of the API that was asked."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from .apis import APIS, Api, Event, api_at
from .http11 import HangUp, HttpRequest, HttpResponse
from .replies import Failure, Reply
from .requests import MalformedRequest, Request
from .script import Script, Unscripted

_JSON = "application/json"
_EVENT_STREAM = "text/event-stream; charset=utf-8"


class Handler:
    """Answers requests by a script and records them.

    Args:
        script: The rules.
        stopping: Set when the server stops, so that no answer is waited for any longer.
    """

    def __init__(self, script: Script, stopping: threading.Event) -> None:
        self._script = script
        self._stopping = stopping
        self._numbers = itertools.count(1)
        self.requests: list[Request] = []

    def __call__(self, http: HttpRequest) -> HttpResponse:
        """Answer one request.

        Raises:
            HangUp: The script wants the connection closed.
        """
        number = next(self._numbers)
        api = api_at(http.path)
        if api is None or http.method != "POST":
            served = ", ".join(api.path for api in APIS)
            message = f"no {http.method} {http.path} here: this scripted server answers POST to {served}"
            return HttpResponse(404, {"content-type": _JSON}, _json({"error": {"message": message}}))
        try:
            request = _read(api, http)
        except MalformedRequest as exc:
            return _error(api, 400, str(exc), number)
        self.requests.append(request)
        try:
            reply = self._script.answer(request) if api.scripted else Reply()
        except Unscripted as exc:
            return _error(api, 400, str(exc), number)
        if reply.latency_s and self._stopping.wait(reply.latency_s):
            raise HangUp
        if isinstance(reply, Failure):
            return _failure(api, reply, number)
        return _success(api, request, reply, number)


def _read(api: Api, http: HttpRequest) -> Request:
    try:
        body = json.loads(http.body)
    except ValueError as exc:
        raise MalformedRequest(f"the body is not JSON: {exc}") from None
    if not isinstance(body, dict):
        raise MalformedRequest(f"expected a JSON object (found {type(body).__name__})")
    return api.read(body, http.headers)


def _success(api: Api, request: Request, reply: Reply, number: int) -> HttpResponse:
    headers = {"content-type": _JSON, api.request_id_header: f"req_scripted_{number}"}
    if not request.stream:
        return HttpResponse(200, headers, _json(api.answer(request, reply, number)))
    headers |= {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}
    events = api.events(request, reply, number)
    return HttpResponse(200, headers, _cut(map(_sse, events), reply.cut_after))


def _failure(api: Api, failure: Failure, number: int) -> HttpResponse:
    if failure.disconnect:
        raise HangUp
    # Both SDKs read milliseconds too, which lets a test of retries be quick.
    after = {"retry-after": f"{failure.retry_after:g}", "retry-after-ms": f"{failure.retry_after * 1000:g}"}
    return _error(api, failure.status, failure.message, number, after)


def _error(
    api: Api, status: int, message: str, number: int, headers: dict[str, str] | None = None
) -> HttpResponse:
    headers = {"content-type": _JSON, api.request_id_header: f"req_scripted_{number}", **(headers or {})}
    return HttpResponse(status, headers, _json(api.error(status, message, number)))


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _sse(event: Event) -> bytes:
    data = event.data if isinstance(event.data, str) else _json(event.data).decode()
    return (f"event: {event.name}\n" if event.name else "").encode() + f"data: {data}\n\n".encode()


def _cut(pieces: Iterable[bytes], after: int | None) -> Iterator[bytes]:
    for index, piece in enumerate(pieces):
        if index == after:
            raise HangUp
        yield piece
