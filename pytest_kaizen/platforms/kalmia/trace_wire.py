"""Kalmia's JSON of a trace: Braintrust's shape, times in seconds since the epoch.

A key that is absent and a key that is null differ here: a trace may arrive in several parts, in
which absent means "as before". So only the keys that were given are written.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator

from ...models import Message, SpanKind, Trace
from ...models import Span as OurSpan
from .. import WireModel

#: Their types of spans by our kinds; a judge's call is no part of what was traced.
SPAN_TYPES = {
    SpanKind.LLM: "llm",
    SpanKind.TOOL: "tool",
    SpanKind.CHAIN: "task",
    SpanKind.AGENT: "task",
    SpanKind.RETRIEVER: "function",
    SpanKind.EMBEDDING: "function",
}
# Kalmia tells the provider by these names.
_NAMES = {"anthropic": "anthropic chat", "openai": "openai chat"}


class _Part(WireModel):
    # What a newer SDK sends besides is kept.
    model_config = ConfigDict(extra="allow")

    leave_out: ClassVar[Literal["nothing", "none", "unset"]] = "unset"


class SpanAttributes(_Part):
    """What a span is; ``type`` is ``task``, ``llm``, ``tool``, ``function`` and others."""

    name: str | None = None
    type: str | None = None


class CacheCreation(_Part):
    """Tokens written to Anthropic's cache, by how long they are kept."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class Metrics(_Part):
    """Times and tokens of a span.

    Attributes:
        start: Seconds since the epoch.
        end: Likewise; absent while the span goes on.
        prompt_tokens: With Anthropic, without the cached ones.
    """

    start: float | None = None
    end: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None


class TraceSpan(_Part):
    """A span.

    Attributes:
        span_parents: The parent's id; empty for the root.
        scores: By name, in [0, 1].
    """

    id: str
    span_id: str | None = None
    root_span_id: str | None = None
    span_parents: list[str] | None = None
    name: str | None = None
    span_attributes: SpanAttributes | None = None
    input: Any = None
    output: Any = None
    error: Any = None
    scores: dict[str, float | None] | None = None
    metadata: dict[str, Any] | None = None
    metrics: Metrics | None = None
    created: datetime | None = None


class KalmiaTrace(_Part):
    """A trace, or a part of one; its spans merge with those that arrived before.

    Attributes:
        id: That of its root span.
        project_id: The project's name.
        metadata: ``correlationId`` puts it into an experiment; ``replay`` (``{"provider",
            "session_id"}``) links a recording, and is dropped when it is malformed.
    """

    id: str
    project_id: str | None = None
    created: datetime | None = None
    input: Any = None
    output: Any = None
    metadata: dict[str, Any] | None = None
    spans: list[TraceSpan] = Field(default_factory=list)

    @field_validator("metadata", mode="after")
    @classmethod
    def _drop_malformed_replay(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if not metadata or "replay" not in metadata:
            return metadata
        replay = metadata["replay"]
        parts = (
            [replay.get(key) for key in ("provider", "session_id")] if isinstance(replay, dict) else [None]
        )
        if all(isinstance(part, str) and part for part in parts):
            return metadata
        return {key: value for key, value in metadata.items() if key != "replay"}

    @classmethod
    def of(cls, trace: Trace, *, project: str, correlation_id: str | None = None) -> Self:
        """Make the trace that one of ours stands for: a root of type ``task`` over its spans.

        Args:
            trace: What was done. The calls of a judge are left out; their scores are not.
            project: The project's name.
            correlation_id: What puts it into an experiment; the trace's id when not given.
        """
        spans = [span for span in trace.spans if span.kind is not SpanKind.JUDGE]
        start = min([trace.created_at, *(span.started_at for span in spans)])
        end = max([start, *(_end(span) for span in spans)])
        root = TraceSpan(
            id=trace.id,
            span_id=trace.id,
            root_span_id=trace.id,
            span_parents=[],
            name=trace.name,
            span_attributes=SpanAttributes(name=trace.name, type="task"),
            input=trace.input,
            output=trace.output,
            scores={score.name: score.value for score in trace.scores if score.value is not None},
            metadata=None,
            metrics=Metrics(start=start.timestamp(), end=end.timestamp()),
            created=trace.created_at,
            **_given(error=trace.error),
        )
        known = {span.id for span in spans}
        return cls(
            id=trace.id,
            project_id=project,
            created=trace.created_at,
            input=trace.input,
            output=trace.output,
            metadata={
                **trace.metadata,
                "correlationId": correlation_id or trace.id,
                "source": "sdk",
                "project": project,
            },
            spans=[root, *(span_json(span, trace.id, known) for span in spans)],
        )


def span_json(span: OurSpan, root: str, known: Collection[str]) -> TraceSpan:
    """Return a span as Kalmia has it.

    Args:
        span: The span; a judge's is none of theirs.
        root: The id of the trace's root span.
        known: The ids of the trace's other spans.
    """
    name = _NAMES.get(span.provider or "", span.name) if span.kind is SpanKind.LLM else span.name
    return TraceSpan(
        id=span.id,
        span_id=span.id,
        root_span_id=root,
        span_parents=[span.parent_id if span.parent_id in known else root],
        name=name,
        span_attributes=SpanAttributes(name=name, type=SPAN_TYPES[span.kind]),
        input=[message_json(message) for message in span.input],
        output=[message_json(message) for message in span.output],
        metadata={**span.metadata, **_given(model=span.model)} or None,
        metrics=_metrics(span),
        created=span.started_at,
        **_given(error=span.error),
    )


def _metrics(span: OurSpan) -> Metrics:
    usage = span.usage
    prompt = usage.input_tokens
    if prompt is not None and span.provider == "anthropic":
        prompt -= (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    counted = prompt is not None and usage.output_tokens is not None
    return Metrics(
        start=span.started_at.timestamp(),
        **_given(
            end=None if span.latency_ms is None else _end(span).timestamp(),
            prompt_tokens=prompt,
            completion_tokens=usage.output_tokens,
            total_tokens=(prompt or 0) + (usage.output_tokens or 0) if counted else None,
            cache_read_input_tokens=usage.cache_read_tokens,
            cache_creation_input_tokens=usage.cache_write_tokens,
        ),
    )


def message_json(message: Message) -> dict[str, Any]:
    """Return a message as Kalmia has it."""
    if all(part.type == "text" for part in message.parts):
        return {"role": message.role, "content": message.text}
    parts = [part.model_dump(mode="json", exclude_none=True) for part in message.parts]
    return {"role": message.role, "content": parts}


def _end(span: OurSpan) -> datetime:
    return span.started_at + timedelta(milliseconds=span.latency_ms or 0.0)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
