"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import about, kalmia, otlp, proxy, traces

OPERATIONS: tuple[Operation, ...] = (
    *about.OPERATIONS,
    *proxy.OPERATIONS,
    *otlp.OPERATIONS,
    *kalmia.OPERATIONS,
    *traces.OPERATIONS,
)

__all__ = ["OPERATIONS"]
