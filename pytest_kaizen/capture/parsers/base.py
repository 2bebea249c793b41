"""What a parser of a provider's API is, what it gives back, and what it makes that of.

Parts of messages have the shape of OpenTelemetry's GenAI conventions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import from_json

Json = Mapping[str, Any]
"""A JSON object as it came over the wire; nothing in it may be relied on."""

Part = dict[str, Any]
"""The fields of a ``models.Part``: plain data, validated once, when the span is made."""

Message = dict[str, Any]
"""The fields of a ``models.Message``."""

# Opaque payloads: of no use to a reader, and often megabytes.
_OPAQUE = frozenset(
    {"b64_json", "data", "encrypted_content", "encrypted_index", "partial_image_b64", "signature"}
)
_OPAQUE_MIN_CHARS = 256


@dataclass(slots=True)
class Request:
    """What was asked.

    Attributes:
        model: The model asked for.
        messages: The system prompt first, if there is one.
        parameters: Everything else in the body, bytes replaced by their hash.
    """

    model: str | None = None
    messages: list[Message] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """What was answered.

    Attributes:
        model: The model that answered.
        messages: Usually one; one per choice where several were asked for.
        usage: The fields of a ``models.Usage``.
        error: An error that came in a successful response, as ``type: message``.
        metadata: What else the span should say: the response's id, reasoning tokens.
    """

    model: str | None = None
    messages: list[Message] = field(default_factory=list)
    usage: dict[str, int | None] = field(default_factory=dict)
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Stream(Protocol):
    """Puts the events of one streamed answer together again.

    Attributes:
        complete: The protocol's end event was seen.
        error: The error event that was seen, as ``type: message``.
    """

    complete: bool
    error: str | None

    def add(self, name: str | None, data: str) -> bool:
        """Take the next event; return whether it carried a token of the answer."""
        ...

    def body(self) -> dict[str, Any]:
        """Return the body that the same answer would have had without streaming, as far as it came."""
        ...


class Parser(Protocol):
    """Reads one API; a file of its own per implementation, listed in ``parsers.PARSERS``.

    What a provider sends may be anything: a parser keeps what it does not know and skips what it
    cannot read.

    Attributes:
        provider: ``gen_ai.provider.name`` where the configuration does not say.
    """

    provider: str

    def request(self, body: Json) -> Request:
        """Read the body of a request."""
        ...

    def response(self, body: Json) -> Reply:
        """Read the body of a successful response."""
        ...

    def stream(self) -> Stream:
        """Start to assemble a streamed response."""
        ...


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """Return the JSON objects of a list; nothing in the place of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def string(value: Any) -> str | None:
    """Return a non-empty string, or None in the place of anything else."""
    return value if isinstance(value, str) and value else None


def count(value: Any) -> int | None:
    """Return a number of tokens, or None in the place of anything else."""
    return value if type(value) is int and value >= 0 else None


def error_text(body: Any) -> str | None:
    """Read ``type: message`` from the error shapes of the known APIs; None where there is no error."""
    error = mapping(body).get("error")
    if isinstance(error, str):
        return error or None
    if not isinstance(error, dict):
        return None
    kind = string(error.get("type")) or string(error.get("code")) or "error"
    message = string(error.get("message"))
    return f"{kind}: {message}" if message else kind


def parsed(text: str) -> Any:
    """Parse JSON that a model wrote; the text itself where it is not JSON."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return text


def loads(content: str | bytes) -> Any:
    """Parse JSON; like ``json.loads``, and three times as fast.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return from_json(content)
    except (TypeError, ValueError):
        # Half a surrogate pair, or a byte order mark, is too much for the fast one.
        return json.loads(content)


def message(role: Any, parts: list[Part], finish_reason: Any = None) -> Message:
    """Make a message; one that only answers tool calls has the role ``tool``."""
    role = string(role) or "user"
    if role == "user" and parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    made: Message = {"role": role, "parts": parts}
    if isinstance(finish_reason, str):
        made["finish_reason"] = finish_reason
    return made


def text(content: str) -> Part:
    """Make a part of plain text."""
    return {"type": "text", "content": content}


def tool_call(identifier: Any, name: Any, arguments: Any) -> Part:
    """Make the part in which a model calls a tool."""
    return {"type": "tool_call", "id": identifier, "name": name, "arguments": arguments}


def tool_response(identifier: Any, response: Any) -> Part:
    """Make the part that answers a tool call."""
    return {"type": "tool_call_response", "id": identifier, "response": response}


def blob(data: str, mime_type: Any = None) -> Part:
    """Make the part for bytes in Base64: their type, SHA-256 and size, never the bytes."""
    try:
        content = base64.b64decode(data)
    except (binascii.Error, ValueError):
        content = data.encode("utf-8", "surrogatepass")
    return {
        "type": "blob",
        "mime_type": string(mime_type),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }


def link(url: str, mime_type: Any = None) -> Part:
    """Make the part for a URL: a blob where it is a ``data:`` URL, which holds the bytes itself."""
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        return blob(data, mime_type or head[5:].partition(";")[0])
    part: Part = {"type": "uri", "uri": url}
    if isinstance(mime_type, str):
        part["mime_type"] = mime_type
    return part


def unknown(block: Json) -> Part:
    """Keep a block that has no shape of its own here, with its type and its fields."""
    part = mapping(compact(block))
    kind = string(part.get("type")) or "unknown"
    content = part.pop("content", None)
    if isinstance(content, str):
        part["content"] = content
    elif content is not None:
        part["value"] = content
    return {**part, "type": kind}


def compact(value: Any) -> Any:
    """Copy JSON with every payload of bytes replaced by its hash and size."""
    if isinstance(value, str):
        return link(value) if value.startswith("data:") and ";base64," in value[:100] else value
    if isinstance(value, list):
        return [compact(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "base64" and isinstance(value.get("data"), str):
        return blob(value["data"], value.get("media_type"))
    return {
        key: blob(item)
        if key in _OPAQUE and isinstance(item, str) and len(item) >= _OPAQUE_MIN_CHARS
        else compact(item)
        for key, item in value.items()
    }


def without(body: Json, names: Iterable[str]) -> dict[str, Any]:
    """Copy a body without some of its fields, bytes replaced by their hash."""
    return {key: compact(value) for key, value in body.items() if key not in names}
