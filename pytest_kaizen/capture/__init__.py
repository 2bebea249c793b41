"""LLM calls become spans: hooks in the HTTP clients, a parser per API, stream assembly, redaction."""

from __future__ import annotations

from .hooks import Capture
from .recorder import Recorder, SpanHandle, current_recorder, recording, spans_are
from .redact import Redactor

__all__ = [
    "Capture",
    "Recorder",
    "Redactor",
    "SpanHandle",
    "current_recorder",
    "recording",
    "spans_are",
]
