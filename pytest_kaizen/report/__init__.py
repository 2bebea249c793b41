"""Run → what people read; computes no score."""

from .plain import plain
from .table import table
from .terminal import closing_line, sample_lines, summary_lines, terse_lines

__all__ = ["closing_line", "plain", "sample_lines", "summary_lines", "table", "terse_lines"]
