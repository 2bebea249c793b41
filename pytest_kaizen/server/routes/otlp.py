"""OpenTelemetry's path for traces: spans of any instrumentation become traces.

They come in the body of an OTLP/HTTP request, in whatever order and however many at a time.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ...capture.build import Price
from ...capture.otel.received import Event, ReceivedSpan, scores_of, span_of
from ...models import Span, Trace
from ...pipeline.sample import Content, content_of
from ...store import Store
from ..operation import JSON, Access, Call, Operation
from ..problem import Refusal
from ..state import State

PROTOBUF = "application/x-protobuf"
_SERVICE = "service.name"
_GZIP = 16 + zlib.MAX_WBITS


def decoded(body: bytes, media_type: str, encoding: str, limit: int) -> list[ReceivedSpan]:
    """Return the spans of a request.

    Args:
        body: As it came.
        media_type: Its ``Content-Type``.
        encoding: Its ``Content-Encoding``: ``gzip`` or nothing.
        limit: The most bytes that it may decompress to.

    Raises:
        Refusal: It cannot be read.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise Refusal(415, f"send {PROTOBUF} or {JSON} (found {kind or 'no content type'})")
    body = _unpacked(body, encoding.strip().lower(), limit)
    try:
        return list(_from_protobuf(body) if kind == PROTOBUF else _from_json(json.loads(body)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError) as exc:
        problem = f"the body is no ExportTraceServiceRequest in {kind}: {type(exc).__name__}"
        raise Refusal(400, problem, code="BAD_OTLP") from None


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Refusal(415, f"send the body as it is or with gzip (found {encoding!r})")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(body, limit)
    except zlib.error:
        raise Refusal(400, "the body is no gzip", code="BAD_OTLP") from None
    if unpacker.unconsumed_tail:
        raise Refusal(413, f"the body decompresses to more than the {limit} bytes that are taken")
    if not unpacker.eof:
        raise Refusal(400, "the body's gzip ends too early", code="BAD_OTLP")
    return body


def _from_protobuf(body: bytes) -> Iterator[ReceivedSpan]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as exc:
        raise ValueError(str(exc)) from None
    for resource in request.resource_spans:
        service = _plain_attributes(resource.resource.attributes).get(_SERVICE)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    trace_id=_checked(span.trace_id.hex(), 32),
                    span_id=_checked(span.span_id.hex(), 16),
                    parent_id=span.parent_span_id.hex() or None,
                    name=span.name,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=_plain_attributes(span.attributes),
                    events=[Event(event.name, _plain_attributes(event.attributes)) for event in span.events],
                    status=span.status.code,
                    message=span.status.message,
                    service=service,
                )


def _plain_attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _plain_attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return f"<{len(value.bytes_value)} bytes>"
    return None if kind is None else getattr(value, kind)


def _from_json(request: Mapping[str, Any]) -> Iterator[ReceivedSpan]:
    for resource in request.get("resourceSpans") or ():
        described = (resource.get("resource") or {}).get("attributes")
        service = _json_attributes(described).get(_SERVICE)
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                status = span.get("status") or {}
                yield ReceivedSpan(
                    trace_id=_checked(span["traceId"].lower(), 32),
                    span_id=_checked(span["spanId"].lower(), 16),
                    parent_id=(span.get("parentSpanId") or "").lower() or None,
                    name=str(span.get("name") or ""),
                    start_ns=int(span.get("startTimeUnixNano") or 0),
                    end_ns=int(span.get("endTimeUnixNano") or 0),
                    attributes=_json_attributes(span.get("attributes")),
                    events=[
                        Event(str(event.get("name")), _json_attributes(event.get("attributes")))
                        for event in span.get("events") or ()
                    ],
                    status=_status(status.get("code")),
                    message=str(status.get("message") or ""),
                    service=service,
                )


def _json_attributes(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _json_value(pair.get("value") or {}) for pair in pairs or ()}


def _json_value(value: Mapping[str, Any]) -> Any:
    for kind, given in value.items():
        if kind == "intValue":
            # 64-bit integers are texts in protobuf's JSON.
            return int(given)
        if kind == "arrayValue":
            return [_json_value(item) for item in given.get("values") or ()]
        if kind == "kvlistValue":
            return _json_attributes(given.get("values"))
        if kind == "bytesValue":
            return f"<{len(given) * 3 // 4} bytes>"
        return given
    return None


def _status(code: Any) -> int:
    # Enumerations are numbers in OTLP's JSON; some senders write their names.
    return {"STATUS_CODE_ERROR": 2, "STATUS_CODE_OK": 1}.get(code, code if isinstance(code, int) else 0)


def _checked(text: str, digits: int) -> str:
    if len(text) != digits or not int(text, 16):
        raise ValueError(f"an id has {digits} hexadecimal digits that are not all zero")
    return text


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


async def export(call: Call, body: bytes) -> Response:
    """Take spans, as OTLP over HTTP in protobuf or JSON, also with gzip; they are stored when it answers."""
    headers = call.headers
    kind = headers.get("content-type", "")
    state = call.state
    with state.load.held(len(body)):
        traces = await run_in_threadpool(_read, state, body, kind, headers.get("content-encoding", ""))
        await call.write(partial(_join, parts=traces))
    state.metrics.traces.labels("otlp").inc(len(traces))
    # The empty message, which in protobuf is no byte at all.
    if kind.startswith(PROTOBUF):
        return Response(b"", media_type=PROTOBUF)
    return Response(b"{}", media_type=JSON)


def _read(state: State, body: bytes, kind: str, encoding: str) -> list[Trace]:
    spans = decoded(body, kind, encoding, state.config.server.max_body_bytes)
    redactor = state.redactor.apart()
    return [redactor.trace(trace) for trace in traces_of(spans, state.price)]


def _join(store: Store, parts: Sequence[Trace]) -> None:
    # One after the other: several may be parts of one trace.
    for part in parts:
        store.intake.put([joined(store.intake.one(part.id), part)])


OPERATIONS = (
    Operation(
        "POST",
        "/v1/traces",
        Access.WRITE,
        export,
        reads=(PROTOBUF, JSON),
        writes=(PROTOBUF, JSON),
        errors=(415, 503),
    ),
)
