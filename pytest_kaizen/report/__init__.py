"""Run → what people read; computes no score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plain import plain
from .table import table

if TYPE_CHECKING:
    from .terminal import closing_line, sample_lines, summary_lines, terse_lines
else:

    def __getattr__(name):
        # What a run says at its end is nothing that a command needs.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import terminal

        return getattr(terminal, name)


__all__ = ["closing_line", "plain", "sample_lines", "summary_lines", "table", "terse_lines"]
