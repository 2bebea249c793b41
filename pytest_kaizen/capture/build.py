"""From what went over the wire to a span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..config import Endpoint
from ..models import Span, SpanKind, Usage
from .parsers import PARSERS, Parser, Reply, Request
from .parsers.base import error_text, loads, mapping
from .wire import Exchange, events_of, is_event_stream, one_line

Price = Callable[[str, Usage], float | None]


class Facts(NamedTuple):
    """What a call's span says that is not in the exchanges."""

    span_id: str
    parent_id: str | None
    kind: SpanKind
    endpoint: Endpoint
    url: str
    content: bytes | None


def build_span(facts: Facts, exchanges: Sequence[Exchange], price: Price) -> Span:
    """Make the span of a call.

    Whatever the bodies hold, there is a span: with what could be read, and a ``note`` in its
    metadata that says what could not.

    A streamed answer has ``stream: True`` in its metadata, and ``time_to_first_token_ms`` where
    its chunks were seen one by one. ``complete: False`` says that the end of the answer was not
    seen: of a stream, the protocol's end event.

    Args:
        facts: What is known besides the exchanges.
        exchanges: One per HTTP request, in order; the last one's answer is the call's.
        price: The cost of a usage in USD; None, or an exception, where it is not known.
    """
    parser = PARSERS[facts.endpoint.api]
    last = exchanges[-1]
    metadata: dict[str, Any] = {"api": facts.endpoint.api, "url": facts.url}
    if last.status is not None:
        metadata["status"] = last.status
    records = [exchange.cassette for exchange in exchanges if exchange.cassette is not None]
    if records:
        metadata["records"] = records
    request = _request(parser, facts.content, metadata)
    if request.parameters:
        metadata["request"] = request.parameters
    body, ends = last.body()
    reply = _reply(parser, last, body, ends, metadata)
    metadata.update(reply.metadata)
    model = reply.model or request.model
    ended = last.ended
    span = {
        "id": facts.span_id,
        "parent_id": facts.parent_id,
        "name": f"chat {model}" if model else "chat",
        "kind": facts.kind,
        "provider": facts.endpoint.provider or parser.provider,
        "model": model,
        "input": request.messages,
        "output": reply.messages,
        "usage": reply.usage,
        "started_at": exchanges[0].started_at,
        "latency_ms": None if ended is None else (ended - exchanges[0].clock) * 1000,
        "attempts": [_attempt(exchange) for exchange in exchanges[:-1]] + [_attempt(last, reply.error)],
        "replayed": last.record is not None,
        "error": reply.error,
        "metadata": metadata,
    }
    if _may_hold_surrogates(facts.content) or _may_hold_surrogates(body):
        span = _well_formed(span)
    made = _validated(span)
    recorded = last.record.cost_usd if last.record is not None else None
    made.cost_usd = cost_of(price, model, made.usage) if recorded is None else recorded
    last.cost_usd = made.cost_usd
    return made


def _validated(span: dict[str, Any]) -> Span:
    try:
        return Span.model_validate(span)
    except ValidationError as exc:
        note = f"messages left out: {exc.error_count()} fields of an unknown shape"
        kept = {key: value for key, value in span["metadata"].items() if key in ("api", "url", "records")}
        metadata = kept | {"note": note}
        return Span.model_validate({**span, "input": [], "output": [], "usage": {}, "metadata": metadata})


def _may_hold_surrogates(body: bytes | None) -> bool:
    # Most bodies hold no escape of the kind, so that one look is enough.
    return body is not None and b"\\u" in body and (b"\\ud" in body or b"\\uD" in body)


def _well_formed(value: Any) -> Any:
    """Join surrogate pairs, and replace halves: valid in JSON, they are no text that can be stored."""
    if type(value) is str:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    return value


def cost_of(price: Price, model: str | None, usage: Usage) -> float | None:
    """Return what a usage costs in USD; None where model, usage or price is not known."""
    if model is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    try:
        return price(model, usage)
    except Exception:
        # The price of others' making; a call without a price is still a call.
        return None


def _attempt(exchange: Exchange, error: str | None = None) -> dict[str, Any]:
    ended = exchange.clock if exchange.ended is None else exchange.ended
    return {
        "started_at": exchange.started_at,
        "latency_ms": (ended - exchange.clock) * 1000,
        "status": exchange.status,
        "error": error or exchange.error or _status_error(exchange, b""),
    }


def _request(parser: Parser, content: bytes | None, metadata: dict[str, Any]) -> Request:
    if content is None:
        metadata["note"] = "the request's body was not seen"
        return Request()
    body = _json(content)
    if not isinstance(body, dict):
        metadata["note"] = "the request's body is not a JSON object"
        return Request()
    try:
        return parser.request(body)
    except Exception as exc:
        metadata["note"] = f"the request's body was not understood ({type(exc).__name__})"
        return Request()


def _reply(
    parser: Parser, exchange: Exchange, body: bytes, ends: list[int], metadata: dict[str, Any]
) -> Reply:
    if exchange.status is None:
        if exchange.error is None:
            metadata["complete"] = False
        return Reply(error=exchange.error or "no answer had come when the recording ended")
    if exchange.status >= 400:
        return Reply(error=exchange.error or _status_error(exchange, body))
    try:
        if is_event_stream(exchange.content_type, body):
            reply = _streamed(parser, exchange, body, ends, metadata)
        else:
            reply = _whole(parser, exchange, body, metadata)
    except Exception as exc:
        metadata["note"] = f"the response's body was not understood ({type(exc).__name__})"
        reply = Reply()
    reply.error = reply.error or exchange.error
    if reply.error is not None:
        reply.error = one_line(reply.error)
    return reply


def _streamed(
    parser: Parser, exchange: Exchange, body: bytes, ends: list[int], metadata: dict[str, Any]
) -> Reply:
    stream = parser.stream()
    first: float | None = None
    waiting = True
    end = 0
    for event in events_of(body):
        if not stream.complete:
            end = event.end
        if stream.add(event.name, event.data) and waiting:
            waiting = False
            first = exchange.arrival(event.end, ends)
    metadata["stream"] = True
    if stream.complete:
        exchange.completed(end, ends)
    else:
        metadata["complete"] = False
    if first is not None:
        metadata["time_to_first_token_ms"] = (first - exchange.clock) * 1000
    reply = parser.response(stream.body())
    reply.error = stream.error or reply.error
    return reply


def _whole(parser: Parser, exchange: Exchange, body: bytes, metadata: dict[str, Any]) -> Reply:
    content = _json(body)
    if isinstance(content, dict):
        return parser.response(content)
    if exchange.times or not body:
        metadata["complete"] = False
    kind = exchange.content_type or "no content type"
    metadata["note"] = f"the response is not a JSON object ({kind}, {len(body)} bytes)"
    return Reply()


def _status_error(exchange: Exchange, body: bytes) -> str | None:
    if exchange.status is None or exchange.status < 400:
        return None
    content = _json(body) if body else None
    message = error_text(content) or error_text({"error": mapping(content).get("detail")})
    if message is None:
        plain = one_line(body[:2000].decode("utf-8", "replace"))
        reason = exchange.reason or "error"
        message = f"{reason}: {plain}" if plain else reason
    return one_line(f"{exchange.status} {message}")


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except (ValueError, RecursionError):
        return None
