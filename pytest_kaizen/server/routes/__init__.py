"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import about, kaizen_ct, kalmia, kayba, otlp, proxy, traces

_PARTS = (about, proxy, otlp, kaizen_ct, kalmia, kayba, traces)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
