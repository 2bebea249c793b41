"""Kayba's page: traces as files, insights drawn from them, prompts made of insights."""

from __future__ import annotations

from ...operation import Operation
from . import insights, jobs, prompts, traces

_PARTS = (traces, insights, jobs, prompts)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
