"""From the body of an OTLP/HTTP request to spans."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ...capture.otel.received import Event, ReceivedSpan
from ..operation import JSON
from ..problem import Refusal

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
