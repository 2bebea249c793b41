"""From spans that arrive, in whatever order and however many at a time, to traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...capture.build import Price
from ...capture.otel.received import ReceivedSpan, scores_of, span_of
from ...models import Span, Trace
from ...pipeline.live import Content, content_of


def traces_of(received: Iterable[ReceivedSpan], price: Price) -> list[Trace]:
    """Return the traces that spans are of, each with the spans that are there.

    Args:
        received: The spans.
        price: What a call costs that does not say so.
    """
    groups: dict[str, list[ReceivedSpan]] = {}
    for span in received:
        groups.setdefault(span.trace_id, []).append(span)
    return [_trace(trace_id, spans, price) for trace_id, spans in groups.items()]


def joined(known: Trace | None, more: Trace) -> Trace:
    """Return a trace of which a further part has come.

    Args:
        known: What was there before; None for nothing.
        more: The further part; of what is there already it has the newer state.
    """
    if known is None:
        return more
    spans = _in_order({span.id: span for span in (*known.spans, *more.spans)}.values())
    scores = {(score.name, score.source): score for score in (*known.scores, *more.scores)}
    content = _content(spans)
    update: dict[str, Any] = {
        "name": more.name if _root(more.spans) else known.name,
        "created_at": min(known.created_at, more.created_at),
        "input": content.input,
        "output": content.output,
        "error": more.error or known.error,
        "metadata": known.metadata | more.metadata,
        "scores": list(scores.values()),
        "spans": spans,
    }
    return known.model_copy(update=update)


def _trace(trace_id: str, received: Sequence[ReceivedSpan], price: Price) -> Trace:
    whole = next((span for span in received if span.stands_for_trace), None)
    made = [span_of(span, price) for span in received if span is not whole]
    for span in made:
        if whole is not None and span.parent_id == whole.span_id:
            span.parent_id = None
    spans = _in_order(made)
    root = _root(spans)
    facts = {} if whole is None else whole.attributes
    content = _content(spans)
    services = sorted({span.service for span in received if span.service})
    first = min(received, key=lambda span: span.start_ns)
    return Trace(
        id=str(facts.get("kaizen.trace_id", trace_id)),
        run_id=_text(facts.get("kaizen.run_id")),
        task=_text(facts.get("kaizen.task")),
        case_id=_text(facts.get("kaizen.case_id")),
        sample=facts.get("kaizen.sample") if type(facts.get("kaizen.sample")) is int else 0,
        name=whole.name if whole else root.name if root else first.name,
        created_at=first.started_at,
        input=content.input,
        output=content.output,
        error=whole.error if whole else root.error if root else None,
        metadata={"source": "otlp", **({"services": services} if services else {})},
        scores=[] if whole is None else scores_of(whole),
        spans=spans,
    )


def _in_order(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.started_at)


def _root(spans: Sequence[Span]) -> Span | None:
    return next((span for span in spans if span.parent_id is None), None)


def _content(spans: Sequence[Span]) -> Content:
    """Return what a trace is about: what its root says, else its last model call."""
    root, last = _root(spans), content_of(spans)
    if root is None:
        return last
    given = "\n".join(message.text for message in root.input if message.text)
    came = "\n".join(message.text for message in root.output if message.text)
    return Content(input=given or last.input, output=came or last.output)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
