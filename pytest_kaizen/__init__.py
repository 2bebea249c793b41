"""Evaluation-driven prompt regression for pytest.

The public names are resolved when they are first used (PEP 562), so that an installed but unused
plugin costs a pytest run nothing. PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capture.otel.processor import KaizenSpanProcessor
    from .errors import KaizenError
    from .models import GateResult, Score, Span, Trace
    from .pipeline.tracing import agent, instrument, trace
    from .platforms.kaizen_ct.client import AsyncCTClient, CTClient
    from .platforms.kalmia.client import KalmiaClient
    from .platforms.kate.client import KateClient
    from .platforms.kayba.client import KaybaClient
    from .plugin.fixture import Kaizen
    from .scripted import ScriptedLLM

__version__ = "0.1.0"

_HOME = {
    "AsyncCTClient": ".platforms.kaizen_ct.client",
    "CTClient": ".platforms.kaizen_ct.client",
    "GateResult": ".models",
    "Kaizen": ".plugin.fixture",
    "KaizenError": ".errors",
    "KaizenSpanProcessor": ".capture.otel.processor",
    "KalmiaClient": ".platforms.kalmia.client",
    "KateClient": ".platforms.kate.client",
    "KaybaClient": ".platforms.kayba.client",
    "Score": ".models",
    "ScriptedLLM": ".scripted",
    "Span": ".models",
    "Trace": ".models",
    "agent": ".pipeline.tracing",
    "instrument": ".pipeline.tracing",
    "trace": ".pipeline.tracing",
}

__all__ = [
    "AsyncCTClient",
    "CTClient",
    "GateResult",
    "Kaizen",
    "KaizenError",
    "KaizenSpanProcessor",
    "KalmiaClient",
    "KateClient",
    "KaybaClient",
    "Score",
    "ScriptedLLM",
    "Span",
    "Trace",
    "__version__",
    "agent",
    "instrument",
    "trace",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
