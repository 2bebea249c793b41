"""The engines, by name."""

from __future__ import annotations

from collections.abc import Callable

from .base import Engine, Estimate
from .gepa import GepaEngine
from .insights import InsightsEngine

DEFAULT_ENGINE = "insights"
ENGINES: dict[str, Callable[[], Engine]] = {
    DEFAULT_ENGINE: InsightsEngine,
    "gepa": GepaEngine,
    "gepa-plain": lambda: GepaEngine(plain=True),
}

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Engine", "Estimate", "GepaEngine", "InsightsEngine"]
