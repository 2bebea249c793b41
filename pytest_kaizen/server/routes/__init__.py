"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import integrations, kaizen, kaizen_ct, kalmia, kate, kayba, otlp

_PARTS = (kaizen, otlp, kaizen_ct, kalmia, kayba, integrations, kate)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
