"""GenAI spans that other instrumentation emits within a test become spans of its trace."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

from ...models import Span, SpanKind
from ..build import cost_of
from ..hooks import current_price
from ..recorder import Place, call_seen, current_kind, current_place, forget_listener, listen
from ..wire import one_line
from . import ERROR_TYPE, kind_of, read_attributes

try:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.trace import StatusCode
except ImportError:
    raise ImportError("KaizenSpanProcessor needs an extra: pip install 'pytest-kaizen[otel]'") from None


@dataclass
class _Open:
    """A span that has started: of a sample, and not ended yet.

    Attributes:
        covered: A call below has a span of its own.
    """

    span: Any
    place: Place
    kind: SpanKind
    parent: int | None
    number: int = 0
    covered: bool = False

    def abandon(self) -> Span | None:
        """Make the span of what is known by now; None for one that is no call of its own."""
        kind = kind_of(self.span.attributes or {})
        if kind is None or (kind is SpanKind.LLM and self.covered):
            return None
        made = _made(self.span, self, kind, None)
        made.metadata["complete"] = False
        return made


class KaizenSpanProcessor(SpanProcessor):
    """Takes over spans with OpenTelemetry's GenAI conventions; add it to the tracer provider.

    A span belongs to the test that it starts in. A model call that capture has seen below it, or
    that another such span below stands for, is not counted again. Elsewhere nothing is kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        listen(self._call_seen)

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - their signature
        """Take note of a span that starts within a test."""
        place = current_place()
        if place is None or span.context is None:
            return
        entry = _Open(span, place, current_kind(), span.parent.span_id if span.parent else None)
        entry.number = place.recorder.start(entry)
        with self._lock:
            self._open[span.context.span_id] = entry

    def on_end(self, span: ReadableSpan) -> None:
        """Make a span of the trace of it, if it stands for something of generative AI."""
        with self._lock:
            entry = self._open.pop(span.context.span_id, None) if span.context else None
        if entry is None:
            return
        recorder = entry.place.recorder
        kind = kind_of(span.attributes or {})
        if kind is None or (kind is SpanKind.LLM and entry.covered):
            recorder.forget(entry.number)
            return
        made = None
        # Attributes may be anything, and the program comes first.
        with suppress(Exception):
            made = _made(span, entry, kind, self._parent(entry))
        if made is None:
            recorder.forget(entry.number)
            return
        recorder.end(entry.number, made)
        if kind is SpanKind.LLM:
            self._cover(entry.parent)
            call_seen()

    def shutdown(self) -> None:
        """Take over nothing any more."""
        forget_listener(self._call_seen)

    def _call_seen(self) -> None:
        self._cover(trace.get_current_span().get_span_context().span_id)

    def _cover(self, span_id: int | None) -> None:
        """Take note that a span and those above it stand for a call that is counted."""
        with self._lock:
            while span_id is not None and (entry := self._open.get(span_id)) is not None:
                entry.covered = True
                span_id = entry.parent

    def _parent(self, entry: _Open) -> str | None:
        """Return the nearest span above that has a place of its own in the trace."""
        with self._lock:
            above = entry.parent
            while above is not None and (found := self._open.get(above)) is not None:
                if kind_of(found.span.attributes or {}) not in (None, SpanKind.LLM):
                    return f"{above:016x}"
                above = found.parent
        return entry.place.span_id


def _made(span: Any, entry: _Open, kind: SpanKind, parent_id: str | None) -> Span:
    attributes = dict(span.attributes or {})
    started = datetime.fromtimestamp((span.start_time or 0) / 1e9, UTC)
    latency = None if span.end_time is None else (span.end_time - (span.start_time or 0)) / 1e6
    failed = span.status.status_code is StatusCode.ERROR
    made = Span(
        id=f"{span.context.span_id:016x}",
        parent_id=parent_id or entry.place.span_id,
        name=span.name,
        kind=entry.kind if kind is SpanKind.LLM else kind,
        started_at=started,
        latency_ms=latency,
        error=one_line(str(span.status.description or attributes.get(ERROR_TYPE) or "error"))
        if failed
        else None,
        **read_attributes(attributes),
    )
    made.cost_usd = cost_of(current_price, made.model, made.usage) if kind is SpanKind.LLM else None
    return made
