"""The engines, by name."""

from __future__ import annotations

from collections.abc import Callable

from .base import Engine, Estimate
from .dspy import DspyEngine
from .gepa import GepaEngine
from .insights import InsightsEngine

DEFAULT_ENGINE = "insights"
ENGINES: dict[str, Callable[[], Engine]] = {
    DEFAULT_ENGINE: InsightsEngine,
    "gepa": GepaEngine,
    "gepa-plain": lambda: GepaEngine(plain=True),
    "dspy": DspyEngine,
    "dspy-gepa": lambda: DspyEngine(gepa=True),
}

__all__ = ["DEFAULT_ENGINE", "ENGINES", "DspyEngine", "Engine", "Estimate", "GepaEngine", "InsightsEngine"]
