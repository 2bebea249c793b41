"""Spans that arrive over OTLP, whichever encoding they came in, and the spans that they become here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...models import Score, ScoreSource, Span, SpanKind
from ..build import Price, cost_of
from ..describe import one_line
from . import attributes as names
from . import openinference
from .read import kind_of, read_attributes

_ERROR = 2
#: What our own export says of a whole trace, on the span that stands for it.
_TRACE_ID = "kaizen.trace_id"
_KINDS = {kind.value: kind for kind in SpanKind}


class Event(NamedTuple):
    """Something that happened within a span."""

    name: str
    attributes: Mapping[str, Any]


class ReceivedSpan(NamedTuple):
    """A span as OTLP has it.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: The same, of the span above; None for a root.
        start_ns: Nanoseconds since the epoch.
        end_ns: The same.
        status: 0 unset, 1 well, 2 error.
        message: What the status says.
        service: ``service.name`` of what sent it.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    events: Sequence[Event] = ()
    status: int = 0
    message: str = ""
    service: str | None = None

    @property
    def stands_for_trace(self) -> bool:
        """Whether it is what our export makes of a trace, above the trace's own spans."""
        return _TRACE_ID in self.attributes

    @property
    def started_at(self) -> datetime:
        """When it started."""
        return datetime.fromtimestamp(self.start_ns / 1e9, UTC)

    @property
    def error(self) -> str | None:
        """What went wrong, as one line; None where nothing did."""
        if self.status != _ERROR:
            return None
        raised = next((event.attributes for event in self.events if event.name == "exception"), {})
        said = self.message or raised.get("exception.message") or self.attributes.get(names.ERROR_TYPE)
        return one_line(str(said or "error"))


def span_of(received: ReceivedSpan, price: Price) -> Span:
    """Return a span as ours; what says nothing of generative AI is a step of kind ``CHAIN``.

    Args:
        received: The span.
        price: What a call costs that does not say so.
    """
    attributes = received.attributes
    kind = _KINDS.get(str(attributes.get("kaizen.span.kind"))) or kind_of(attributes)
    if kind is None and openinference.is_spoken(attributes):
        kind, fields = openinference.kind_of(attributes), openinference.read_attributes(attributes)
    else:
        fields = read_attributes(attributes)
    made = Span(
        id=received.span_id,
        parent_id=received.parent_id,
        name=received.name,
        kind=kind or SpanKind.CHAIN,
        started_at=received.started_at,
        latency_ms=max(0, received.end_ns - received.start_ns) / 1e6,
        replayed=attributes.get("kaizen.replayed") is True,
        error=received.error,
        **fields,
    )
    cost = attributes.get("kaizen.cost_usd")
    if isinstance(cost, float | int):
        made.cost_usd = float(cost)
    elif made.kind in (SpanKind.LLM, SpanKind.JUDGE):
        made.cost_usd = cost_of(price, made.model, made.usage)
    return made


def scores_of(received: ReceivedSpan) -> list[Score]:
    """Return the evaluation results that a span has among its events."""
    made = []
    for event in received.events:
        facts = event.attributes
        value, error = facts.get(names.EVALUATION_VALUE), facts.get(names.ERROR_TYPE)
        if event.name != names.EVALUATION or names.EVALUATION_NAME not in facts:
            continue
        given = float(value) if isinstance(value, float | int) and 0 <= value <= 1 else None
        made.append(
            Score(
                name=str(facts[names.EVALUATION_NAME]),
                value=given,
                source=ScoreSource.SDK,
                reason=_text(facts.get(names.EVALUATION_EXPLANATION)),
                error=str(error or "no value between 0 and 1") if given is None else None,
            )
        )
    return made


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
