"""The operations, a file for each part of the server."""

from __future__ import annotations

from ..operation import Operation
from . import (
    about,
    behaviors,
    experiments,
    integrations,
    kaizen_ct,
    kalmia,
    kate,
    kayba,
    observing,
    otlp,
    proxy,
    runs,
    traces,
)

_PARTS = (
    about,
    proxy,
    otlp,
    kaizen_ct,
    kalmia,
    experiments,
    behaviors,
    observing,
    kayba,
    integrations,
    kate,
    runs,
    traces,
)
OPERATIONS: tuple[Operation, ...] = tuple(row for part in _PARTS for row in part.OPERATIONS)

__all__ = ["OPERATIONS"]
