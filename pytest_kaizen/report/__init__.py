"""Run → what people read; computes no score."""

from .plain import plain
from .table import table
from .terminal import closing_line, summary_lines

__all__ = ["closing_line", "plain", "summary_lines", "table"]
