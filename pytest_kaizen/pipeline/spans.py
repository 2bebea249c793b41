"""Stored traces, span by span, for a model that reads long ones in pieces."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import StoreError
from ..models import Part, Span
from ..score.checks.base import as_text
from ..store import Store


class StoredSpans:
    """Reads the spans of traces in a store; see ``optimize.SpanReader``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spans(self, trace_id: str) -> Mapping[str, str]:
        """Return the text of each span of a trace, by its id, in their order; empty when unknown."""
        try:
            trace = self._store.trace(trace_id)
        except StoreError:
            return {}
        return {span.id: _text(span) for span in trace.spans}


def _text(span: Span) -> str:
    messages = (*span.input, *span.output)
    said = [f"{message.role}: {_content(part)}" for message in messages for part in message.parts]
    error = [f"error: {span.error}"] if span.error else []
    return "\n".join([f"{span.kind} {span.name}", *said, *error])


def _content(part: Part) -> str:
    return part.content if part.content is not None else as_text(part.model_dump(exclude_none=True))
