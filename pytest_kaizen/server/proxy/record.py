"""From what went over the wire to a trace; none of it is done while a client waits."""

from __future__ import annotations

import http.client
from typing import NamedTuple

import httpx

from ...capture import Redactor
from ...capture.build import Facts, Price, build_span
from ...capture.credentials import credentials_in
from ...capture.wire import Exchange
from ...models import SpanKind, Trace, new_span_id, new_trace_id
from ...pipeline.live import content_of
from .headers import RawHeaders
from .passage import Passage


class Recording:
    """Makes traces of passages.

    Args:
        redactor: Takes out secrets; what it learns from one passage it does not keep for others.
        price: What a call costs.
    """

    def __init__(self, redactor: Redactor, price: Price) -> None:
        self._redactor = redactor
        self._price = price

    def trace(self, passage: Passage) -> Trace:
        """Return the trace of a passage, without the credentials that it had."""
        exchange = _exchange(passage)
        facts = Facts(new_span_id(), None, SpanKind.LLM, passage.endpoint, passage.url, passage.content)
        span = build_span(facts, [exchange], self._price)
        if passage.client_gone:
            span.metadata["note"] = "the client went away"
        content = content_of([span])
        trace = Trace(
            id=new_trace_id(),
            name=span.name,
            created_at=passage.started_at,
            input=content.input,
            output=content.output,
            error=span.error,
            metadata={"source": "proxy"},
            spans=[span],
        )
        redactor = self._redactor.apart()
        redactor.learn(*credentials_in(passage.headers))
        return redactor.trace(trace)


class _Headers(NamedTuple):
    raw: RawHeaders


class _Answer(NamedTuple):
    """An answer as the clients' own have it; to make one of theirs would take longer than all else here."""

    status_code: int
    headers: _Headers
    reason_phrase: str


def _exchange(passage: Passage) -> Exchange:
    exchange = Exchange(passage.started_at, passage.clock, library=httpx)
    if passage.status is not None:
        reason = http.client.responses.get(passage.status, "")
        exchange.answered(_Answer(passage.status, _Headers(passage.answer_headers), reason))
    exchange.chunks = passage.chunks
    exchange.times = passage.times
    exchange.ended = passage.ended
    exchange.error = passage.error
    return exchange
