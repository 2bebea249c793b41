"""From the attributes of an OpenTelemetry span to what it says about a model call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...models import Message, Part, SpanKind, Usage
from ..recorder import messages_of
from . import attributes as names

_KINDS = {
    "chat": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "embeddings": SpanKind.EMBEDDING,
    "execute_tool": SpanKind.TOOL,
    "retrieval": SpanKind.RETRIEVER,
    "invoke_agent": SpanKind.AGENT,
    "create_agent": SpanKind.AGENT,
}
_MESSAGES = TypeAdapter(list[Message])
_PARTS = TypeAdapter(list[Part])


def kind_of(attributes: Mapping[str, Any]) -> SpanKind | None:
    """Return what a span stands for; None for one that says nothing of generative AI."""
    operation = attributes.get(names.OPERATION)
    if operation is not None:
        return _KINDS.get(str(operation), SpanKind.CHAIN)
    # Instrumentation of before the operation was named.
    return SpanKind.LLM if names.SYSTEM in attributes and names.REQUEST_MODEL in attributes else None


def read_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``models.Span`` that attributes give; what cannot be read is left out."""
    metadata: dict[str, Any] = {"api": "opentelemetry"}
    if names.RESPONSE_ID in attributes:
        metadata["response_id"] = str(attributes[names.RESPONSE_ID])
    request = {
        key.removeprefix(names.REQUEST): list(value) if isinstance(value, tuple) else value
        for key, value in attributes.items()
        if key.startswith(names.REQUEST) and key != names.REQUEST_MODEL
    }
    if request:
        metadata["request"] = request
    model = attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL)
    provider = attributes.get(names.PROVIDER) or attributes.get(names.SYSTEM)
    return {
        "provider": None if provider is None else str(provider),
        "model": None if model is None else str(model),
        "input": [*_system(attributes), *_messages(attributes, names.INPUT_MESSAGES)]
        or messages_of(attributes.get(names.TOOL_ARGUMENTS), "user"),
        "output": _messages(attributes, names.OUTPUT_MESSAGES)
        or messages_of(attributes.get(names.TOOL_RESULT), "tool"),
        "usage": Usage(**{field: _count(attributes, keys) for field, keys in names.USAGE.items()}),
        "metadata": metadata,
    }


def _system(attributes: Mapping[str, Any]) -> list[Message]:
    given = _json(attributes.get(names.SYSTEM_INSTRUCTIONS))
    try:
        return [Message(role="system", parts=_PARTS.validate_python(given))] if given else []
    except ValidationError:
        return []


def _messages(attributes: Mapping[str, Any], name: str) -> list[Message]:
    try:
        return _MESSAGES.validate_python(_json(attributes.get(name)) or [])
    except ValidationError:
        return []


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _count(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((attributes[key] for key in keys if type(attributes.get(key)) is int), None)
