"""From a request to the answer that a rule of the script gives, in the shape of the API that was asked."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .anthropic_messages import AnthropicCountTokens, AnthropicMessages
from .exchange import Api, Event, Failure, MalformedRequest, Reply, Request, Simulator
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses
from .server import HangUp, HttpRequest, HttpResponse

#: A substring of the last user text, a pattern to find in it, or a test of the whole request.
Condition = str | re.Pattern[str] | Callable[[Request], bool]

_SHOWN = 120

APIS: tuple[Api, ...] = (AnthropicMessages(), AnthropicCountTokens(), OpenAIChat(), OpenAIResponses())

_JSON = "application/json"
_EVENT_STREAM = "text/event-stream; charset=utf-8"


class Unscripted(Exception):  # noqa: N818 - it names what happened, not a fault of the server
    """No rule answers a request, or the one that should broke."""


@dataclass
class Rule:
    """What to answer, to which requests and how often.

    Attributes:
        answer: The answer, or a function that makes it from the request.
        when: Which requests; None: any.
        left: How often it still may answer; None: always.
    """

    answer: Reply | Failure | Callable[[Request], Reply]
    when: Condition | None = None
    left: int | None = None

    def matches(self, request: Request) -> bool:
        """Tell whether the condition holds, whatever is left."""
        if self.when is None:
            return True
        if isinstance(self.when, str):
            return self.when in request.last_user_text
        if isinstance(self.when, re.Pattern):
            return self.when.search(request.last_user_text) is not None
        return self.when(request)


class Script:
    """Rules in the order in which they are tried; may be used from many threads.

    Rules with a number of times come first, in the order added, each until it is used up. Then
    those without, in the order added, the one without a condition last; of two with the same
    condition the newer stands.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._limited: list[Rule] = []
        self._used_up = 0
        self._lasting: dict[Condition | None, Rule] = {}

    def add(self, rule: Rule) -> None:
        """Add a rule."""
        with self._lock:
            if rule.left is not None:
                self._limited.append(rule)
            else:
                self._lasting[rule.when] = rule

    def answer(self, request: Request) -> Reply | Failure:
        """Return what a request is answered with.

        Raises:
            Unscripted: Nothing is scripted for it, or the user's function for it raised.
        """
        try:
            answer = self._choose(request).answer
            return answer(request) if callable(answer) else answer
        except Unscripted:
            raise
        except Exception as exc:
            raise Unscripted(
                f"the script's own function raised {type(exc).__name__}: {exc}, for {_describe(request)}"
            ) from exc

    def _choose(self, request: Request) -> Rule:
        with self._lock:
            for rule in self._limited:
                if rule.matches(request):
                    self._use(rule)
                    return rule
            lasting = list(self._lasting.values())
        for rule in sorted(lasting, key=lambda rule: rule.when is None):
            if rule.matches(request):
                return rule
        raise Unscripted(
            f"nothing is scripted for {_describe(request)}. {self._tried()} Script an answer with "
            "reply('...'), or reply('...', when='part of the last user text')."
        )

    def _use(self, rule: Rule) -> None:
        if rule.left is not None:
            rule.left -= 1
            if rule.left <= 0:
                self._limited.remove(rule)
                self._used_up += 1

    def _tried(self) -> str:
        with self._lock:
            rules = [*self._limited, *self._lasting.values()]
            used_up = self._used_up
        conditions = [rule.when.pattern if isinstance(rule.when, re.Pattern) else rule.when for rule in rules]
        tried = f"No rule matched: when={', '.join(map(repr, conditions))}." if rules else "There is no rule."
        return f"{tried} Rules used up: {used_up}." if used_up else tried


def as_reply(simulator: Simulator) -> Callable[[Request], Reply]:
    """Wrap a function that may return a bare text."""

    def answer(request: Request) -> Reply:
        made = simulator(request)
        if isinstance(made, Reply):
            return made
        if isinstance(made, str):
            return Reply(text=made)
        raise TypeError(f"expected a str or a Reply, got {type(made).__name__}")

    return answer


def _describe(request: Request) -> str:
    system = f", system {_short(request.system)}" if request.system else ""
    return (
        f"this {request.api} request (model {request.model}{system}, "
        f"last user text {_short(request.last_user_text)})"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def api_at(path: str) -> Api | None:
    """Return the API that is spoken at a path, whatever stands before its own part of it."""
    return next((api for api in APIS if path.endswith(api.path)), None)


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
