"""What went into a step and came out of it, in the shapes that tracers keep: as messages of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ...capture.parsers import PARSERS
from ...capture.recorder import messages_of
from ...models import Message, SpanKind

_MESSAGES = TypeAdapter(list[Message])
_CHAT, _ANTHROPIC, _RESPONSES = (
    PARSERS[api] for api in ("openai.chat", "anthropic.messages", "openai.responses")
)
#: The roles behind LangChain's names of messages.
_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_BLOCKS = frozenset({"tool_use", "tool_result", "thinking"})


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
