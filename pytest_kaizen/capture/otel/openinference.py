"""Attributes by OpenInference's conventions, as other instrumentation sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...models import Message, Part, SpanKind, Usage
from ..recorder import messages_of

_KIND = "openinference.span.kind"
_KINDS = {
    "LLM": SpanKind.LLM,
    "EMBEDDING": SpanKind.EMBEDDING,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "EVALUATOR": SpanKind.JUDGE,
}
_MODELS = ("llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name")
_USAGE = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cache_read_tokens": "llm.token_count.prompt_details.cache_read",
    "cache_write_tokens": "llm.token_count.prompt_details.cache_write",
}
_PARAMETERS = "llm.invocation_parameters"
_INPUT, _OUTPUT = "input.value", "output.value"
_SESSION = "session.id"


def is_spoken(attributes: Mapping[str, Any]) -> bool:
    """Say whether a span follows these conventions."""
    return _KIND in attributes


def kind_of(attributes: Mapping[str, Any]) -> SpanKind:
    """Return what a span stands for."""
    return _KINDS.get(str(attributes.get(_KIND)).upper(), SpanKind.CHAIN)


def read_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``models.Span`` that attributes give; what cannot be read is left out."""
    metadata: dict[str, Any] = {"api": "openinference"}
    parameters = _json(attributes.get(_PARAMETERS))
    if parameters:
        metadata["request"] = parameters
    if _SESSION in attributes:
        metadata["session"] = str(attributes[_SESSION])
    output_role = "tool" if kind_of(attributes) is SpanKind.TOOL else "assistant"
    provider = attributes.get("llm.provider") or attributes.get("llm.system")
    return {
        "provider": None if provider is None else str(provider),
        "model": next((str(attributes[name]) for name in _MODELS if attributes.get(name)), None),
        "input": _messages(attributes, "llm.input_messages", "user")
        or messages_of(attributes.get(_INPUT), "user"),
        "output": _messages(attributes, "llm.output_messages", "assistant")
        or messages_of(attributes.get(_OUTPUT), output_role),
        "usage": Usage(**{field: _count(attributes.get(name)) for field, name in _USAGE.items()}),
        "metadata": metadata,
    }


def _messages(attributes: Mapping[str, Any], prefix: str, role: str) -> list[Message]:
    found = []
    for fields in _items(attributes, prefix):
        message = {key.removeprefix("message."): value for key, value in fields.items()}
        parts = [_part(item) for item in _items(message, "contents")]
        content = message.get("content")
        if isinstance(content, str) and content and not parts:
            parts = [Part(type="text", content=content)]
        answers = message.get("tool_call_id")
        if answers is not None:
            text = "".join(part.content or "" for part in parts)
            parts = [Part.model_validate({"type": "tool_call_response", "id": answers, "response": text})]
        parts += [_tool_call(item) for item in _items(message, "tool_calls")]
        found.append(Message(role=str(message.get("role") or role), parts=parts))
    return found


def _part(fields: Mapping[str, Any]) -> Part:
    content = {key.removeprefix("message_content."): value for key, value in fields.items()}
    if isinstance(content.get("text"), str):
        kind = "reasoning" if content.get("type") == "reasoning" else "text"
        return Part(type=kind, content=content["text"])
    url = content.get("image.image.url")
    if isinstance(url, str) and not url.startswith("data:"):
        return Part.model_validate({"type": "uri", "uri": url})
    # The bytes of an image are not kept.
    return Part(type=str(content.get("type") or "unknown"))


def _tool_call(fields: Mapping[str, Any]) -> Part:
    call = {key.removeprefix("tool_call."): value for key, value in fields.items()}
    arguments = call.get("function.arguments")
    parsed = _json(arguments)
    return Part.model_validate(
        {
            "type": "tool_call",
            "id": call.get("id"),
            "name": call.get("function.name"),
            "arguments": arguments if parsed is None else parsed,
        }
    )


def _items(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return what is flattened below a prefix, ``prefix.0.key``, as a list in the order of its numbers."""
    found: dict[int, dict[str, Any]] = {}
    start = f"{prefix}."
    for name, value in attributes.items():
        number, _, key = name.removeprefix(start).partition(".")
        if name.startswith(start) and number.isdecimal() and key:
            found.setdefault(int(number), {})[key] = value
    return [found[number] for number in sorted(found)]


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
