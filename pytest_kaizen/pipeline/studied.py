"""Stored traces as the reflecting model is shown them: whole where they are short, else in pieces.

In a search a piece is a span.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..errors import StoreError
from ..models import Feedback, Part, Span, SpanKind, Trace
from ..optimize import Failure
from ..report.listing import span_text
from ..score.check import as_text
from ..store import Store

#: Characters of a trace that is shown whole, and of the one that is not in mode ``standard``.
_WHOLE, _MOST = 6_000, 60_000
#: Characters of a piece of a text without spans.
_PIECE = 8_000
#: Characters of a trace's id that tell the traces of a chunk apart.
_ID = 8
#: Of a chunk: traces, and characters of them together.
_TRACES, _CHUNK = 4, 100_000


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
        return {span.id: _span_text(span) for span in trace.spans}


def _span_text(span: Span) -> str:
    messages = (*span.input, *span.output)
    said = [f"{message.role}: {_part_text(part)}" for message in messages for part in message.parts]
    error = [f"error: {span.error}"] if span.error else []
    return "\n".join([f"{span.kind} {span.name}", *said, *error])


def _part_text(part: Part) -> str:
    return part.content if part.content is not None else as_text(part.model_dump(exclude_none=True))


class StoredPieces:
    """Reads the pieces of long stored traces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spans(self, trace_id: str) -> dict[str, str]:
        """Return the pieces of a trace; none of one that is shown whole, or that is not there."""
        try:
            return pieces_of(self._store.trace(trace_id))
        except StoreError:
            return {}


def shown(trace: Trace, *, recursive: bool) -> Failure:
    """Return what the model is shown of a trace at once: all of it or, ``recursive``, its ends."""
    given = "" if trace.input is None else as_text(trace.input)
    if trace.file is not None:
        given = f"(the file {trace.file.filename})"
    return Failure(
        case_id=trace.id,
        trace_id=trace.id,
        input=_cut(given, _WHOLE),
        output=_cut(_text(trace), _WHOLE if recursive else _MOST),
        score=None,
        feedback=tuple(
            Feedback(criterion=score.name, score=score.value, expected=score.expected, reason=score.reason)
            for score in trace.scores
        ),
    )


def pieces_of(trace: Trace) -> dict[str, str]:
    """Return the pieces of a long trace by ids that begin with its own; none of a short one."""
    if len(_text(trace)) <= _WHOLE:
        return {}
    return {f"{trace.id[:_ID]}.{place}": piece for place, piece in enumerate(_pieces(trace), 1)}


def chunks(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    """Put traces together that are studied in one go, in their order."""
    chunk: list[Trace] = []
    size = 0
    for trace in traces:
        length = min(len(_text(trace)), _MOST)
        if chunk and (len(chunk) == _TRACES or size + length > _CHUNK):
            yield chunk
            chunk, size = [], 0
        chunk.append(trace)
        size += length
    if chunk:
        yield chunk


def _text(trace: Trace) -> str:
    """Return what a trace's program answered, with its steps where there was more than one call."""
    parts = [] if trace.output is None else [as_text(trace.output)]
    parts += [f"error: {trace.error}"] if trace.error else []
    steps = _steps(trace)
    if len(steps) > 1 or trace.output is None:
        parts += [span_text(span) for span in steps]
    return "\n\n".join(parts)


def _steps(trace: Trace) -> list[Span]:
    """Return what the program did; how it was graded is not among that."""
    return [span for span in trace.spans if span.kind is not SpanKind.JUDGE]


def _pieces(trace: Trace) -> Iterator[str]:
    """Cut a trace into its spans, and a text without spans at the ends of lines."""
    if steps := _steps(trace):
        yield from map(span_text, steps)
        return
    lines = _text(trace).splitlines(keepends=True)
    piece = ""
    for part in (line[at : at + _PIECE] for line in lines for at in range(0, len(line), _PIECE)):
        if len(piece) + len(part) > _PIECE:
            yield piece
            piece = ""
        piece += part
    if piece:
        yield piece


def _cut(text: str, most: int) -> str:
    """Leave out the middle of a long text, and say so."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end]}\n[… {len(text) - most} characters left out …]\n{text[-end:]}"
