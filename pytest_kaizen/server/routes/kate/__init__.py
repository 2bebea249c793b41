"""Kate's page: agents, their runs and spans, what is known of their quality."""

from __future__ import annotations

from ...operation import Operation
from . import agents, evaluation, runs, spans

_PARTS = (agents, runs, spans, evaluation)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
