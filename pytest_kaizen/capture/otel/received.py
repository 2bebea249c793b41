"""Spans that arrive over OTLP, whichever encoding they came in, and the spans that they become here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...models import Message, Part, Score, ScoreSource, Span, SpanKind, Usage
from ..build import Price, cost_of
from ..recorder import messages_of
from ..wire import one_line
from . import (
    ERROR_TYPE,
    EVALUATION,
    EVALUATION_EXPLANATION,
    EVALUATION_NAME,
    EVALUATION_VALUE,
    kind_of,
    read_attributes,
)

# OpenInference's names.
_KIND = "openinference.span.kind"
_OPENINFERENCE_KINDS = {
    "LLM": SpanKind.LLM,
    "EMBEDDING": SpanKind.EMBEDDING,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "EVALUATOR": SpanKind.JUDGE,
}
_MODELS = ("llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name")
_USAGE = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cache_read_tokens": "llm.token_count.prompt_details.cache_read",
    "cache_write_tokens": "llm.token_count.prompt_details.cache_write",
}
_PARAMETERS = "llm.invocation_parameters"
_INPUT, _OUTPUT = "input.value", "output.value"
_SESSION = "session.id"

_ERROR = 2
#: What our own export says of a whole trace, on the span that stands for it.
_TRACE_ID = "kaizen.trace_id"
_KINDS = {kind.value: kind for kind in SpanKind}


def is_openinference(attributes: Mapping[str, Any]) -> bool:
    """Say whether a span follows OpenInference's conventions."""
    return _KIND in attributes


def openinference_kind(attributes: Mapping[str, Any]) -> SpanKind:
    """Return what such a span stands for."""
    return _OPENINFERENCE_KINDS.get(str(attributes.get(_KIND)).upper(), SpanKind.CHAIN)


def openinference_fields(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``models.Span`` that such attributes give; what cannot be read is left out."""
    metadata: dict[str, Any] = {"api": "openinference"}
    parameters = _json(attributes.get(_PARAMETERS))
    if parameters:
        metadata["request"] = parameters
    if _SESSION in attributes:
        metadata["session"] = str(attributes[_SESSION])
    output_role = "tool" if openinference_kind(attributes) is SpanKind.TOOL else "assistant"
    provider = attributes.get("llm.provider") or attributes.get("llm.system")
    return {
        "provider": None if provider is None else str(provider),
        "model": next((str(attributes[name]) for name in _MODELS if attributes.get(name)), None),
        "input": _messages(attributes, "llm.input_messages", "user")
        or messages_of(attributes.get(_INPUT), "user"),
        "output": _messages(attributes, "llm.output_messages", "assistant")
        or messages_of(attributes.get(_OUTPUT), output_role),
        "usage": Usage(**{field: _count(attributes.get(name)) for field, name in _USAGE.items()}),
        "metadata": metadata,
    }


def _messages(attributes: Mapping[str, Any], prefix: str, role: str) -> list[Message]:
    found = []
    for fields in _items(attributes, prefix):
        message = {key.removeprefix("message."): value for key, value in fields.items()}
        parts = [_part(item) for item in _items(message, "contents")]
        content = message.get("content")
        if isinstance(content, str) and content and not parts:
            parts = [Part(type="text", content=content)]
        answers = message.get("tool_call_id")
        if answers is not None:
            text = "".join(part.content or "" for part in parts)
            parts = [Part.model_validate({"type": "tool_call_response", "id": answers, "response": text})]
        parts += [_tool_call(item) for item in _items(message, "tool_calls")]
        found.append(Message(role=str(message.get("role") or role), parts=parts))
    return found


def _part(fields: Mapping[str, Any]) -> Part:
    content = {key.removeprefix("message_content."): value for key, value in fields.items()}
    if isinstance(content.get("text"), str):
        kind = "reasoning" if content.get("type") == "reasoning" else "text"
        return Part(type=kind, content=content["text"])
    url = content.get("image.image.url")
    if isinstance(url, str) and not url.startswith("data:"):
        return Part.model_validate({"type": "uri", "uri": url})
    # The bytes of an image are not kept.
    return Part(type=str(content.get("type") or "unknown"))


def _tool_call(fields: Mapping[str, Any]) -> Part:
    call = {key.removeprefix("tool_call."): value for key, value in fields.items()}
    arguments = call.get("function.arguments")
    parsed = _json(arguments)
    return Part.model_validate(
        {
            "type": "tool_call",
            "id": call.get("id"),
            "name": call.get("function.name"),
            "arguments": arguments if parsed is None else parsed,
        }
    )


def _items(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return what is flattened below a prefix, ``prefix.0.key``, as a list in the order of its numbers."""
    found: dict[int, dict[str, Any]] = {}
    start = f"{prefix}."
    for name, value in attributes.items():
        number, _, key = name.removeprefix(start).partition(".")
        if name.startswith(start) and number.isdecimal() and key:
            found.setdefault(int(number), {})[key] = value
    return [found[number] for number in sorted(found)]


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


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
        said = self.message or raised.get("exception.message") or self.attributes.get(ERROR_TYPE)
        return one_line(str(said or "error"))


def span_of(received: ReceivedSpan, price: Price) -> Span:
    """Return a span as ours; what says nothing of generative AI is a step of kind ``CHAIN``.

    Args:
        received: The span.
        price: What a call costs that does not say so.
    """
    attributes = received.attributes
    kind = _KINDS.get(str(attributes.get("kaizen.span.kind"))) or kind_of(attributes)
    if kind is None and is_openinference(attributes):
        kind, fields = openinference_kind(attributes), openinference_fields(attributes)
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
        value, error = facts.get(EVALUATION_VALUE), facts.get(ERROR_TYPE)
        if event.name != EVALUATION or EVALUATION_NAME not in facts:
            continue
        given = float(value) if isinstance(value, float | int) and 0 <= value <= 1 else None
        made.append(
            Score(
                name=str(facts[EVALUATION_NAME]),
                value=given,
                source=ScoreSource.SDK,
                reason=_text(facts.get(EVALUATION_EXPLANATION)),
                error=str(error or "no value between 0 and 1") if given is None else None,
            )
        )
    return made


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
