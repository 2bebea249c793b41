"""Text from models in Markdown: shown, never acted on."""

from __future__ import annotations

import re


def fenced(text: str, kind: str = "text") -> list[str]:
    """Put a text between fences that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{kind}", text, fence]


def code(text: str) -> str:
    """Put a text into a code span, in one line."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line or ' '}`"
