"""LLM calls become spans: hooks in the HTTP clients, a parser per API, stream assembly, redaction."""

from __future__ import annotations

from .hooks import Capture
from .observed import ObservedCall, arguments_of, plain, texts_of
from .recorder import Recorder, SpanHandle, current_place, current_recorder, recording, spans_are
from .redact import Redactor, named_secrets
from .watch import Watch, watching

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
