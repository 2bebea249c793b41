"""What stands in messages and cases, as text."""

from __future__ import annotations

import json
from typing import Any

from ..models import Part


def value_text(value: Any) -> str:
    """Return a text as it is and anything else as its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def part_text(part: Part) -> str:
    """Return a part of a message; what is no text says what it is."""
    extra = part.model_extra or {}
    if part.type == "text":
        return part.content or ""
    if part.type == "tool_call":
        return f"tool call {extra.get('name')}({value_text(extra.get('arguments'))})"
    if part.type == "tool_call_response":
        return f"tool result {value_text(extra.get('response'))}"
    if part.type == "blob":
        return f"[{extra.get('mime_type')}, {extra.get('size')} bytes]"
    return f"[{part.type}] {part.content if part.content is not None else value_text(extra)}"
