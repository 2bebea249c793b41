"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import about, otlp, proxy

OPERATIONS: tuple[Operation, ...] = (*about.OPERATIONS, *proxy.OPERATIONS, *otlp.OPERATIONS)

__all__ = ["OPERATIONS"]
