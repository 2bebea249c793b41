"""How any place is asked that traces are imported from, and how the messages in its steps are read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
from pydantic import TypeAdapter, ValidationError

from ...capture.parsers import PARSERS
from ...capture.recorder import messages_of
from ...errors import PlatformError
from ...models import Message, SpanKind
from ...platforms import error_text, one_line
from ...platforms.connections import pinned_client
from ...platforms.exchange import MAX_ANSWER_BYTES, parse_retry_after, pause_s
from . import Connection

_TIMEOUT_S = 60.0
#: Seconds for a whole answer, so that one that drips in holds nobody up.
_WHOLE_S = 300.0
#: A server that asks for more patience fails the request; whoever asked comes back later.
_LONGEST_PAUSE_S = 60.0
_SHOWN = 300
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

_MESSAGES = TypeAdapter(list[Message])
_CHAT, _ANTHROPIC, _RESPONSES = (
    PARSERS[api] for api in ("openai.chat", "anthropic.messages", "openai.responses")
)
#: The roles behind LangChain's names of messages.
_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_BLOCKS = frozenset({"tool_use", "tool_result", "thinking"})


class Remote:
    """Asks a source over HTTP, again where that helps.

    Args:
        name: Its name, for messages.
        connection: Where it is and who asks.
        sleep: Waits some seconds.
    """

    def __init__(
        self, name: str, connection: Connection, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._name = name
        self._connection = connection
        self._sleep = sleep
        self._http = pinned_client(allow_private=connection.allow_private, timeout_s=_TIMEOUT_S)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, {self._connection!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        read: Callable[[bytes], Any] = json.loads,
        again: bool = True,
    ) -> Any:
        """Make a request that changes nothing there, and return what its answer holds.

        Args:
            method: The HTTP method.
            path: Below the base address.
            params: The query.
            body: What is sent, as JSON.
            read: Reads the answer's body; raises ``ValueError`` where it is not as it must be.
            again: Whether a failure that may pass is a reason to try again.

        Raises:
            PlatformError: There is no such answer; ``status_code`` says what there was.
        """
        where = f"{self._name}: {method} {self._connection.url}{path}"
        sent = None if body is None else json.dumps(body).encode()
        attempts = self._connection.attempts if again else 1
        for attempt in range(1, attempts + 1):
            try:
                answer, came = self._once(where, method, path, params, sent)
                return self._understood(where, answer, came, read)
            except PlatformError as exc:
                pause = pause_s(attempt, exc.retry_after)
                if not exc.transient or attempt == attempts or pause > _LONGEST_PAUSE_S:
                    raise
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, where: str, method: str, path: str, params: Mapping[str, Any] | None, sent: bytes | None
    ) -> tuple[httpx.Response, bytes]:
        headers = {"Accept": "application/json", **self._connection.headers}
        if sent is not None:
            headers["Content-Type"] = "application/json"
        url = self._connection.url + path
        try:
            with self._http.stream(method, url, params=params, headers=headers, content=sent) as answer:
                return answer, _read(where, answer)
        except httpx.TimeoutException:
            raise PlatformError(f"{where}: no answer in time", transient=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            said = one_line(self._hidden(str(exc))) or type(exc).__name__
            raise PlatformError(f"{where}: {said}", transient=isinstance(exc, httpx.TransportError)) from None

    def _understood(
        self, where: str, answer: httpx.Response, came: bytes, read: Callable[[bytes], Any]
    ) -> Any:
        try:
            value = read(came)
        except (ValueError, RecursionError):
            value = None
        if answer.is_success and value is not None:
            return value
        raise self._failure(where, answer, came, value)

    def _failure(self, where: str, answer: httpx.Response, came: bytes, value: Any) -> PlatformError:
        status = answer.status_code
        if answer.is_success:
            said = f"no JSON but {came[:_SHOWN].decode('utf-8', 'replace')!r}"
        elif answer.is_redirect:
            said = "a redirect, which is not followed; give the address that it leads to"
        else:
            said = error_text(value) or answer.reason_phrase
        said = one_line(self._hidden(said), _SHOWN)
        return PlatformError(
            f"{where}: {status}: {said}",
            status,
            transient=status in _TRANSIENT,
            retry_after=parse_retry_after(answer.headers.get("retry-after")),
        )

    def _hidden(self, text: str) -> str:
        secret = self._connection.secret
        return text.replace(secret, "[secret]") if secret else text


def _read(where: str, answer: httpx.Response) -> bytes:
    content = bytearray()
    until = time.monotonic() + _WHOLE_S
    for chunk in answer.iter_bytes():
        content += chunk
        if time.monotonic() > until:
            raise PlatformError(f"{where}: no whole answer within {_WHOLE_S:g} s", transient=True)
        if len(content) > MAX_ANSWER_BYTES:
            raise PlatformError(f"{where}: the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


class Exchange(NamedTuple):
    """What a step was given and came to.

    Attributes:
        model: The model that one of them names.
    """

    input: list[Message]
    output: list[Message]
    model: str | None


def exchange_of(kind: SpanKind, inputs: Any, outputs: Any) -> Exchange:
    """Read what a step was given and came to.

    Known are the bodies of OpenAI's and Anthropic's APIs and LangChain's messages, of a call to a
    model; anything else is one message with its text.
    """
    if kind is not SpanKind.LLM:
        role = "tool" if kind is SpanKind.TOOL else "assistant"
        return Exchange(messages_of(inputs, "user"), messages_of(outputs, role), None)
    asked, model = _asked(inputs)
    answered, answering = _answered(outputs)
    return Exchange(
        asked or messages_of(alone(inputs), "user"),
        answered or messages_of(alone(outputs), "assistant"),
        answering or model,
    )


def alone(value: Any) -> Any:
    """Return the value of an object with one key, else what was given."""
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value


def _asked(inputs: Any) -> tuple[list[Message], str | None]:
    body = {"messages": inputs} if isinstance(inputs, list) else inputs
    if not isinstance(body, Mapping):
        return [], None
    given = body.get("messages")
    if isinstance(given, list) and given:
        turns = [_plain_turn(turn) for turn in _flat(given)]
        if not all(_is_turn(turn) for turn in turns):
            return [], None
        theirs = "system" in body or any(_has_blocks(turn) for turn in turns)
        request = (_ANTHROPIC if theirs else _CHAT).request({**body, "messages": turns})
    elif "input" in body and "model" in body:
        request = _RESPONSES.request(body)
    else:
        return [], None
    return _messages(request.messages), request.model


def _answered(outputs: Any) -> tuple[list[Message], str | None]:
    if isinstance(outputs, Sequence) and not isinstance(outputs, str | bytes):
        outputs = {"messages": list(outputs)}
    if not isinstance(outputs, Mapping):
        return [], None
    if isinstance(outputs.get("choices"), list):
        reply = _CHAT.response(outputs)
    elif isinstance(outputs.get("output"), list) and "model" in outputs:
        reply = _RESPONSES.response(outputs)
    elif isinstance(outputs.get("content"), list) and outputs.get("role") == "assistant":
        reply = _ANTHROPIC.response(outputs)
    else:
        turns = [_plain_turn(turn) for turn in _turns(outputs)]
        if not turns or not all(_is_turn(turn) for turn in turns):
            return [], None
        # What is answered reads as what would be asked next.
        theirs = any(_has_blocks(turn) for turn in turns)
        messages = (_ANTHROPIC if theirs else _CHAT).request({"messages": turns}).messages
        return _messages(messages), None
    return _messages(reply.messages), reply.model


def _turns(outputs: Mapping[str, Any]) -> list[Any]:
    """Return the messages that an answer of another shape than a provider's holds."""
    generations = outputs.get("generations")
    if isinstance(generations, list):
        found = [item for item in _flat(generations) if isinstance(item, dict)]
        return [item.get("message") or {"role": "assistant", "content": item.get("text")} for item in found]
    if isinstance(outputs.get("messages"), list):
        return _flat(outputs["messages"])
    for key in ("message", "output"):
        if isinstance(outputs.get(key), dict):
            return [outputs[key]]
    return [dict(outputs)] if "role" in outputs or "kwargs" in outputs else []


def _plain_turn(turn: Any) -> Any:
    """Return a message of LangChain as OpenAI has it; any other as it is."""
    if not isinstance(turn, dict) or turn.get("role"):
        return turn
    fields = next((turn[key] for key in ("kwargs", "data") if isinstance(turn.get(key), dict)), turn)
    path = turn.get("id")
    named = str(path[-1]) if isinstance(path, list) and path else str(turn.get("type") or "")
    kind = named.lower().removesuffix("messagechunk").removesuffix("message")
    role = fields.get("role") or _ROLES.get(kind) or _ROLES.get(str(fields.get("type") or ""))
    if role is None:
        return turn
    made: dict[str, Any] = {"role": role, "content": fields.get("content") or None}
    if fields.get("tool_call_id"):
        made["tool_call_id"] = fields["tool_call_id"]
    calls = [call for call in fields.get("tool_calls") or () if isinstance(call, dict)]
    if calls:
        made["tool_calls"] = [_call(call) for call in calls]
    return made


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str)


def _call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    if "function" in call:
        return call
    arguments = json.dumps(call.get("args"), ensure_ascii=False)
    function = {"name": call.get("name"), "arguments": arguments}
    return {"id": call.get("id"), "type": "function", "function": function}


def _has_blocks(turn: Mapping[str, Any]) -> bool:
    content = turn.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") in _BLOCKS for block in content
    )


def _flat(items: list[Any]) -> list[Any]:
    """Return a list without the lists in it: LangChain keeps a list for each prompt of a batch."""
    return [inner for item in items for inner in (item if isinstance(item, list) else [item])]


def _messages(plain: list[dict[str, Any]]) -> list[Message]:
    try:
        return _MESSAGES.validate_python(plain)
    except ValidationError:
        return []
