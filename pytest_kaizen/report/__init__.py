"""Run → what people read; computes no score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late
from .text import plain, table

if TYPE_CHECKING:
    from .terminal import closing_line, sample_lines, summary_lines, terse_lines
else:
    # What a run says at its end is nothing that a command needs.
    __getattr__ = Late(
        __name__,
        dict.fromkeys(("closing_line", "sample_lines", "summary_lines", "terse_lines"), "terminal"),
    )

__all__ = ["closing_line", "plain", "sample_lines", "summary_lines", "table", "terse_lines"]
