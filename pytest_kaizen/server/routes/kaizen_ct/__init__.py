"""Kaizen CT's page: tasks, feedback, prompts, optimisations, traces with scores, keys."""

from __future__ import annotations

from ...operation import Operation
from . import feedback, jobs, keys, tasks, traces

_PARTS = (tasks, feedback, jobs, traces, keys)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
