"""Markdown around text that models and suites wrote: nothing in it is markup, a mention or a command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .plain import plain
from .text import safe_text


def code(text: str) -> str:
    """Show a text as it is, in one line, also in a cell of a table."""
    line = plain(" ".join(text.split()))
    ticks = "`" * (_longest_run(line) + 1)
    # Only a line that begins or ends with a tick needs the space, which is not shown.
    padded = f" {line} " if line.startswith("`") or line.endswith("`") or not line else line
    return f"{ticks}{padded}{ticks}".replace("|", "\\|")


def fenced(text: str, kind: str = "text") -> list[str]:
    """Put a text between fences that nothing in it can close; nothing when there is none."""
    text = safe_text(text)
    ticks = "`" * max(3, _longest_run(text) + 1)
    return [f"{ticks}{kind}", text, ticks] if text else []


def table_lines(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lay out a table; what a cell holds must be safe already."""
    body = [f"| {' | '.join(row)} |" for row in (headers, *rows)]
    return [body[0], f"|{' --- |' * len(headers)}", *body[1:]]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
