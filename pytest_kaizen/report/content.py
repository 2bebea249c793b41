"""What stands in messages and cases, as text."""

from __future__ import annotations

import json
from typing import Any

from ..models import Part, Score


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


def score_text(score: Score) -> str:
    """Write a score with its source and reason; a scorer that failed, with its error."""
    value = "no score" if score.value is None else f"{score.value:.2f}{score.votes_text}"
    why = score.error or score.reason
    expected = f" (expected {score.expected})" if score.expected else ""
    return f"{score.name}: {value} ({score.source})" + (f": {why}" if why else "") + expected
