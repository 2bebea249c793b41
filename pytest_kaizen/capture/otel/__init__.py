"""OpenTelemetry's conventions for generative AI: read from spans, and traces written as OTLP/JSON."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...models import Message, Part, Score, Span, SpanKind, Trace, Usage
from ..recorder import messages_of

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
#: What ``gen_ai.provider.name`` was before 1.37.
SYSTEM = "gen_ai.system"
REQUEST = "gen_ai.request."
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
ERROR_TYPE = "error.type"

#: Usage by our name; of several, the first is written and the others are read as well.
USAGE = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cache_read_tokens": ("gen_ai.usage.cache_read.input_tokens",),
    "cache_write_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
    ),
}

EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_VALUE = "gen_ai.evaluation.score.value"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"


_KINDS = {
    "chat": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "embeddings": SpanKind.EMBEDDING,
    "execute_tool": SpanKind.TOOL,
    "retrieval": SpanKind.RETRIEVER,
    "invoke_agent": SpanKind.AGENT,
    "create_agent": SpanKind.AGENT,
}
_MESSAGES = TypeAdapter(list[Message])
_PARTS = TypeAdapter(list[Part])

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


def kind_of(attributes: Mapping[str, Any]) -> SpanKind | None:
    """Return what a span stands for; None for one that says nothing of generative AI."""
    operation = attributes.get(OPERATION)
    if operation is not None:
        return _KINDS.get(str(operation), SpanKind.CHAIN)
    # Instrumentation of before the operation was named.
    return SpanKind.LLM if SYSTEM in attributes and REQUEST_MODEL in attributes else None


def read_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``models.Span`` that attributes give; what cannot be read is left out."""
    metadata: dict[str, Any] = {"api": "opentelemetry"}
    if RESPONSE_ID in attributes:
        metadata["response_id"] = str(attributes[RESPONSE_ID])
    request = {
        key.removeprefix(REQUEST): list(value) if isinstance(value, tuple) else value
        for key, value in attributes.items()
        if key.startswith(REQUEST) and key != REQUEST_MODEL
    }
    if request:
        metadata["request"] = request
    model = attributes.get(RESPONSE_MODEL) or attributes.get(REQUEST_MODEL)
    provider = attributes.get(PROVIDER) or attributes.get(SYSTEM)
    return {
        "provider": None if provider is None else str(provider),
        "model": None if model is None else str(model),
        "input": [*_system(attributes), *_messages(attributes, INPUT_MESSAGES)]
        or messages_of(attributes.get(TOOL_ARGUMENTS), "user"),
        "output": _messages(attributes, OUTPUT_MESSAGES) or messages_of(attributes.get(TOOL_RESULT), "tool"),
        "usage": Usage(**{field: _count(attributes, keys) for field, keys in USAGE.items()}),
        "metadata": metadata,
    }


def _system(attributes: Mapping[str, Any]) -> list[Message]:
    given = _json(attributes.get(SYSTEM_INSTRUCTIONS))
    try:
        return [Message(role="system", parts=_PARTS.validate_python(given))] if given else []
    except ValidationError:
        return []


def _messages(attributes: Mapping[str, Any], name: str) -> list[Message]:
    try:
        return _MESSAGES.validate_python(_json(attributes.get(name)) or [])
    except ValidationError:
        return []


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _count(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((attributes[key] for key in keys if type(attributes.get(key)) is int), None)


def otlp_json(traces: Iterable[Trace]) -> dict[str, Any]:
    """Return traces as the body of an OTLP/HTTP request in JSON.

    Each trace has a root span that stands for the sample, with its scores as events
    (``gen_ai.evaluation.result``); under it are its spans. The names are those of
    ``SCHEMA_URL``; ours begin with ``kaizen.``.

    Args:
        traces: Finished traces, without secrets.
    """
    spans = [span for trace in traces for span in _spans(trace)]
    resource = {"attributes": _attributes({"service.name": "pytest-kaizen"})}
    scope = {"scope": {"name": "pytest_kaizen"}, "spans": spans, "schemaUrl": SCHEMA_URL}
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
        OPERATION: _OPERATIONS.get(span.kind),
        PROVIDER: span.provider,
        RESPONSE_MODEL: span.model,
        RESPONSE_ID: span.metadata.get("response_id"),
        SYSTEM_INSTRUCTIONS: _system_json(span.input),
        INPUT_MESSAGES: _messages_json([m for m in span.input if m.role != "system"]),
        OUTPUT_MESSAGES: _messages_json(span.output),
        FINISH_REASONS: [m.finish_reason for m in span.output if m.finish_reason] or None,
        "kaizen.span.kind": span.kind.value,
        "kaizen.cost_usd": span.cost_usd,
        "kaizen.replayed": span.replayed or None,
    }
    facts |= {keys[0]: getattr(span.usage, field) for field, keys in USAGE.items()}
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
        EVALUATION_NAME: score.name,
        EVALUATION_VALUE: score.value,
        EVALUATION_EXPLANATION: score.reason,
        ERROR_TYPE: score.error,
    }
    return {"name": EVALUATION, "timeUnixNano": str(moment), "attributes": _attributes(facts)}


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


def _messages_json(messages: list[Message]) -> str | None:
    dumped = [message.model_dump(mode="json", exclude_none=True) for message in messages]
    return json.dumps(dumped, ensure_ascii=False) if dumped else None


def _system_json(messages: list[Message]) -> str | None:
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
