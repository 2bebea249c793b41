"""Traces as OTLP/JSON, the form that collectors take at ``/v1/traces``."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ...models import Message, Score, Span, SpanKind, Trace
from . import attributes as names

_OPERATIONS = {
    SpanKind.LLM: "chat",
    SpanKind.JUDGE: "chat",
    SpanKind.TOOL: "execute_tool",
    SpanKind.AGENT: "invoke_agent",
    SpanKind.RETRIEVER: "retrieval",
    SpanKind.EMBEDDING: "embeddings",
}
_CALLS = (SpanKind.LLM, SpanKind.JUDGE, SpanKind.EMBEDDING)
_INTERNAL, _CLIENT = 1, 3
_ERROR = 2


def otlp_json(traces: Iterable[Trace]) -> dict[str, Any]:
    """Return traces as the body of an OTLP/HTTP request in JSON.

    Each trace has a root span that stands for the sample, with its scores as events
    (``gen_ai.evaluation.result``); under it are its spans. The names are those of
    ``attributes.SCHEMA_URL``; ours begin with ``kaizen.``.

    Args:
        traces: Finished traces, without secrets.
    """
    spans = [span for trace in traces for span in _spans(trace)]
    resource = {"attributes": _attributes({"service.name": "pytest-kaizen"})}
    scope = {"scope": {"name": "pytest_kaizen"}, "spans": spans, "schemaUrl": names.SCHEMA_URL}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _spans(trace: Trace) -> list[dict[str, Any]]:
    trace_id = _hex_id(trace.id, 32)
    root = _hex_id(f"{trace.id} root", 16)
    ends = [_nanoseconds(span.started_at, span.latency_ms) for span in trace.spans]
    start = _nanoseconds(trace.created_at)
    end = max([start, *ends])
    facts = {
        "kaizen.trace_id": trace.id,
        "kaizen.run_id": trace.run_id,
        "kaizen.task": trace.task,
        "kaizen.case_id": trace.case_id,
        "kaizen.sample": trace.sample,
    }
    events = [_evaluation(score, end) for score in trace.scores]
    whole = _span(trace_id, root, None, trace.name, _INTERNAL, start, end, facts, trace.error)
    return [{**whole, "events": events}, *(_child(span, trace_id, root) for span in trace.spans)]


def _child(span: Span, trace_id: str, root: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        names.OPERATION: _OPERATIONS.get(span.kind),
        names.PROVIDER: span.provider,
        names.RESPONSE_MODEL: span.model,
        names.RESPONSE_ID: span.metadata.get("response_id"),
        names.SYSTEM_INSTRUCTIONS: _parts(span.input),
        names.INPUT_MESSAGES: _messages([m for m in span.input if m.role != "system"]),
        names.OUTPUT_MESSAGES: _messages(span.output),
        names.FINISH_REASONS: [m.finish_reason for m in span.output if m.finish_reason] or None,
        "kaizen.span.kind": span.kind.value,
        "kaizen.cost_usd": span.cost_usd,
        "kaizen.replayed": span.replayed or None,
    }
    facts |= {keys[0]: getattr(span.usage, field) for field, keys in names.USAGE.items()}
    parent = _hex_id(span.parent_id, 16) if span.parent_id else root
    start = _nanoseconds(span.started_at)
    end = _nanoseconds(span.started_at, span.latency_ms)
    kind = _CLIENT if span.kind in _CALLS else _INTERNAL
    return _span(trace_id, _hex_id(span.id, 16), parent, span.name, kind, start, end, facts, span.error)


def _span(
    trace_id: str,
    span_id: str,
    parent: str | None,
    name: str,
    kind: int,
    start: int,
    end: int,
    facts: Mapping[str, Any],
    error: str | None,
) -> dict[str, Any]:
    return {
        "traceId": trace_id,
        "spanId": span_id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        # 64-bit integers are texts in protobuf's JSON.
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": _attributes(facts),
        "status": {} if error is None else {"code": _ERROR, "message": error},
    }


def _evaluation(score: Score, moment: int) -> dict[str, Any]:
    facts = {
        names.EVALUATION_NAME: score.name,
        names.EVALUATION_VALUE: score.value,
        names.EVALUATION_EXPLANATION: score.reason,
        names.ERROR_TYPE: score.error,
    }
    return {"name": names.EVALUATION, "timeUnixNano": str(moment), "attributes": _attributes(facts)}


def _attributes(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in facts.items() if _is_known(value)]


def _is_known(value: Any) -> bool:
    # A price of somebody's own making may be no number, for which JSON has no word.
    return math.isfinite(value) if isinstance(value, float) else value is not None


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}


def _messages(messages: list[Message]) -> str | None:
    dumped = [message.model_dump(mode="json", exclude_none=True) for message in messages]
    return json.dumps(dumped, ensure_ascii=False) if dumped else None


def _parts(messages: list[Message]) -> str | None:
    system = [part for message in messages if message.role == "system" for part in message.parts]
    dumped = [part.model_dump(mode="json", exclude_none=True) for part in system]
    return json.dumps(dumped, ensure_ascii=False) if dumped else None


def _nanoseconds(moment: datetime, later_ms: float | None = None) -> int:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    # A clock that a test has replaced may give anything.
    later = later_ms if later_ms is not None and math.isfinite(later_ms) else 0
    return microseconds * 1000 + int(later * 1_000_000)


def _hex_id(given: str, digits: int) -> str:
    """Return an id as OpenTelemetry has them; one that is none becomes its hash."""
    if re.fullmatch(rf"[0-9a-f]{{{digits}}}", given) and int(given, 16):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:digits]
