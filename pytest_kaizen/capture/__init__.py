"""LLM calls become spans: hooks in the HTTP clients, a parser per API, stream assembly, redaction.

The names are resolved when they are first used (PEP 562): a command that captures nothing needs the
redactor alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
    from .hooks import Capture
    from .observed import ObservedCall, arguments_of, plain, texts_of
    from .recorder import (
        Recorder,
        SpanHandle,
        Watch,
        current_place,
        current_recorder,
        recording,
        spans_are,
        watching,
    )
    from .redact import Redactor, named_secrets
else:
    __getattr__ = Late(
        __name__,
        {
            "Capture": "hooks",
            "ObservedCall": "observed",
            "Recorder": "recorder",
            "Redactor": "redact",
            "SpanHandle": "recorder",
            "Watch": "recorder",
            "arguments_of": "observed",
            "current_place": "recorder",
            "current_recorder": "recorder",
            "named_secrets": "redact",
            "plain": "observed",
            "recording": "recorder",
            "spans_are": "recorder",
            "texts_of": "observed",
            "watching": "recorder",
        },
    )

__all__ = [
    "Capture",
    "ObservedCall",
    "Recorder",
    "Redactor",
    "SpanHandle",
    "Watch",
    "arguments_of",
    "current_place",
    "current_recorder",
    "named_secrets",
    "plain",
    "recording",
    "spans_are",
    "texts_of",
    "watching",
]
