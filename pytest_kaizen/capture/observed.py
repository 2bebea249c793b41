"""Calls that are seen as functions, because they do not go through a client that capture hooks into."""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from ..models import Span, new_span_id
from .build import cost_of
from .hooks import current_price
from .parsers import PARSERS, Reply, Request
from .parsers.base import compact, mapping
from .recorder import Place, Watch, call_seen, current_kind, messages_of
from .redact import named_secrets
from .wire import describe

_DEEPEST = 20
_OWN_FIELDS = frozenset({"self", "cls", "args"})


class ObservedCall:
    """One call of a function, from its start to the end of its answer.

    What is given and returned in the shape of a known API (Anthropic's Messages, OpenAI's Chat
    Completions and Responses, also as objects with ``model_dump``) is read as such; anything else is
    kept as text. There is no span of it when a call below has one of its own.

    Args:
        place: Where its span belongs.
        name: What is called.
        arguments: What it is called with, by name.
        watch: Sees the calls below.
    """

    def __init__(self, place: Place, name: str, arguments: Mapping[str, Any], watch: Watch) -> None:
        self._place = place
        self._name = name
        self._arguments = {key: plain(value) for key, value in arguments.items() if key not in _OWN_FIELDS}
        self._positional = plain(list(arguments.get("args", ())))
        self._kind = current_kind()
        self._watch = watch
        self._started_at = datetime.now(UTC)
        self._clock = time.perf_counter()
        self._lock = threading.Lock()
        self._ended = False
        # As the credentials of a request: they may recur where nothing says what they are.
        place.recorder.secrets.update(named_secrets(self._arguments))
        self._number = place.recorder.start(self)

    def returned(self, value: Any) -> None:
        """Take note of what it returned."""
        self._end(plain(value), None)

    def streamed(self, chunks: Sequence[Any], *, complete: bool, error: BaseException | None = None) -> None:
        """Take note of what it gave piece by piece.

        Args:
            chunks: The pieces that were read.
            complete: They were read to the end.
            error: The exception that ended them.
        """
        metadata = {"stream": True} if complete else {"stream": True, "complete": False}
        self._end(_assembled([plain(chunk) for chunk in chunks]), error, metadata)

    def raised(self, error: BaseException) -> None:
        """Take note of the exception that ended it."""
        self._end(None, error)

    def abandon(self) -> Span | None:
        """Make the span of what is known by now; None when it has ended, or has none."""
        if self._watch.seen or not self._first_end():
            return None
        return self._span(None, None, {"complete": False})

    def _end(
        self, value: Any, error: BaseException | None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        if not self._first_end():
            return
        if self._watch.seen:
            self._place.recorder.forget(self._number)
            return
        call_seen()
        self._place.recorder.end(self._number, self._span(value, error, metadata or {}))

    def _first_end(self) -> bool:
        with self._lock:
            first, self._ended = not self._ended, True
        return first

    def _span(self, value: Any, error: BaseException | None, more: Mapping[str, Any]) -> Span:
        ended = time.perf_counter()
        request, reply = self._read(value)
        metadata: dict[str, Any] = {"function": self._name, **reply.metadata, **more}
        if request.parameters:
            metadata["request"] = request.parameters
        model = reply.model or request.model
        span: dict[str, Any] = {
            "id": new_span_id(),
            "parent_id": self._place.span_id,
            "name": f"chat {model}" if model else self._name,
            "kind": self._kind,
            "model": model,
            "input": request.messages,
            "output": reply.messages,
            "usage": reply.usage,
            "started_at": self._started_at,
            "latency_ms": (ended - self._clock) * 1000,
            "error": reply.error if error is None else describe(error),
            "metadata": metadata,
        }
        try:
            made = Span.model_validate(span)
        except ValidationError:
            note = "messages left out: they are of an unknown shape"
            rest = {
                "input": [],
                "output": [],
                "usage": {},
                "metadata": {"function": self._name, "note": note},
            }
            made = Span.model_validate(span | rest)
        made.cost_usd = cost_of(current_price, model, made.usage)
        return made

    def _read(self, value: Any) -> tuple[Request, Reply]:
        api = _api_of_reply(value)
        request = _request(api or _api_of_request(self._arguments), self._arguments, self._positional)
        if api is not None:
            return request, PARSERS[api].response(value)
        return request, Reply(messages=_dumped(value, "assistant"))


def arguments_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a function is called with, by name; positional ones without a name as ``args``."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {"args": tuple(args), **kwargs}
    named = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named.update(named.pop(parameter.name, {}))
        elif parameter.kind is parameter.VAR_POSITIONAL and parameter.name in named:
            named["args"] = named.pop(parameter.name)
    return named


def texts_of(arguments: Mapping[str, Any]) -> list[str]:
    """Return the texts that a call gives a model, as far as its arguments show them."""
    named = {key: plain(value) for key, value in arguments.items() if key not in _OWN_FIELDS}
    request = _request(_api_of_request(named), named, plain(list(arguments.get("args", ()))))
    parts = [part for message in request.messages for part in message.get("parts", ())]
    return [part["content"] for part in parts if isinstance(part.get("content"), str)]


def plain(value: Any, depth: int = 0) -> Any:
    """Copy a value as plain data; of what is none, its type alone: its text may hold a secret."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if depth > _DEEPEST:
        return "<nested too deep>"
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    with suppress(Exception):
        # Whatever an object makes of being asked.
        return plain(value.model_dump(), depth + 1)
    return f"<{type(value).__name__}>"


def _api_of_reply(value: Any) -> str | None:
    body = mapping(value)
    if isinstance(body.get("choices"), list):
        return "openai.chat"
    if body.get("type") == "message" and isinstance(body.get("content"), list):
        return "anthropic.messages"
    if body.get("object") == "response" and isinstance(body.get("output"), list):
        return "openai.responses"
    return None


def _api_of_request(arguments: Mapping[str, Any]) -> str | None:
    if isinstance(arguments.get("messages"), list):
        # Both APIs have messages; only one has the system prompt beside them.
        return "anthropic.messages" if "system" in arguments else "openai.chat"
    return "openai.responses" if "model" in arguments and "input" in arguments else None


def _request(api: str | None, arguments: dict[str, Any], positional: Any) -> Request:
    if api is not None and ("messages" in arguments or "input" in arguments):
        return PARSERS[api].request(arguments)
    # A function of one argument was given that; one of several, all of them by name.
    given: list[Any] = [*positional, *arguments.values()]
    value = given[0] if len(given) == 1 else {**arguments, **({"args": positional} if positional else {})}
    model = arguments.get("model")
    return Request(model if isinstance(model, str) else None, _dumped(value, "user") if given else [])


def _dumped(value: Any, role: str) -> list[dict[str, Any]]:
    return [message.model_dump() for message in messages_of(compact(value), role)]


def _assembled(chunks: list[Any]) -> Any:
    """Put the pieces of a streamed answer together; None without any."""
    if not chunks:
        return None
    if all(isinstance(chunk, str) for chunk in chunks):
        return "".join(chunks)
    first = mapping(chunks[0])
    kind = str(first.get("type"))
    api = (
        "openai.chat"
        if "choices" in first
        else "anthropic.messages"
        if kind == "message_start"
        else "openai.responses"
        if kind.startswith("response.")
        else None
    )
    if api is None:
        return chunks
    stream = PARSERS[api].stream()
    for chunk in chunks:
        event = mapping(chunk)
        name = event.get("type")
        stream.add(name if isinstance(name, str) else None, json.dumps(event))
    return stream.body()


__all__ = ["ObservedCall", "arguments_of", "plain", "texts_of"]
