"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import about

OPERATIONS: tuple[Operation, ...] = about.OPERATIONS

__all__ = ["OPERATIONS"]
