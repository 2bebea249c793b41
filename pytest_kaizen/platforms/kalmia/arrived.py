"""Kalmia's traces as they arrive, a part at a time, and as they are shown again.

What arrived is merged key by key as it came and then made into a trace of ours. Of each span all that
ours does not say stays in its metadata, under ``kalmia``, so that it is shown again as it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...models import Message, Part, Score, ScoreSource, Span, SpanKind, Trace, Usage
from .trace_wire import KalmiaTrace, message_json, span_json

_RAW = "kalmia"
_KINDS = {
    "llm": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "score": SpanKind.JUDGE,
}
#: What merges key by key; all else is replaced whole.
_DEEP = ("metrics", "metadata")
_PROVIDER_OF_NAME = re.compile(r"^(anthropic|openai) ")
_PROVIDER_OF_MODEL = (("claude", "anthropic"), ("gpt", "openai"), ("chatgpt", "openai"), ("o1", "openai"))
#: Stands for a value that the span's messages say.
_AS_MESSAGES = {"kalmia": "messages"}

Json = dict[str, Any]


def arrived(known: Trace | None, part: KalmiaTrace, now: datetime) -> Trace:
    """Return what a trace is after a part of it has arrived; the same part twice changes nothing.

    Args:
        known: What was there before; None for nothing.
        part: What arrived.
        now: When; it stands for times that nothing says.

    Raises:
        ValueError: A value is none that a trace can have.
    """
    whole = {} if known is None else _raw(known)
    given = part.to_json()
    spans: dict[str, Json] = {span["id"]: span for span in whole.pop("spans", ())}
    for span in given.pop("spans", ()):
        spans[span["id"]] = _merged(spans.get(span["id"], {}), span)
    return _trace(known, _merged(whole, given), list(spans.values()), now)


def shown(trace: Trace, project: str = "default") -> KalmiaTrace:
    """Return a trace as Kalmia has it: one of its own as it came, any other in its shape.

    Args:
        trace: The trace.
        project: The project of a trace that has none.
    """
    if _RAW in trace.metadata:
        return KalmiaTrace.model_validate(_raw(trace))
    return KalmiaTrace.of(trace, project=str(trace.metadata.get("project") or project))


def project_of(trace: Trace) -> str | None:
    """Return the name of a trace's project."""
    name = trace.metadata.get(_RAW, {}).get("project_id") or trace.metadata.get("project")
    return None if name is None else str(name)


def _merged(known: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """Merge what was given over what is known: an absent key keeps its value, null overwrites it."""
    merged = {**known, **given}
    for key in _DEEP:
        if isinstance(known.get(key), dict) and isinstance(given.get(key), dict):
            merged[key] = {**known[key], **given[key]}
    return merged


def _raw(trace: Trace) -> Json:
    """Return a trace as it came; of a trace that came another way, its shape here."""
    if _RAW not in trace.metadata:
        json_of_ours: Json = shown(trace).to_json()
        return json_of_ours
    raw: Json = {"id": trace.id, **trace.metadata[_RAW]}
    for key in ("input", "output"):
        if key in raw:
            raw[key] = getattr(trace, key)
    if "metadata" in raw:
        raw["metadata"] = {key: value for key, value in trace.metadata.items() if key != _RAW} or None
    known = {span.id for span in trace.spans}
    raw["spans"] = [
        # What another way added to it is shown in the shape here.
        _raw_span(span) if _RAW in span.metadata else span_json(span, trace.id, known).to_json()
        for span in trace.spans
        if _RAW in span.metadata or span.kind is not SpanKind.JUDGE
    ]
    return raw


def _raw_span(span: Span) -> Json:
    raw: Json = {"id": span.id, **span.metadata[_RAW]}
    for key, messages in (("input", span.input), ("output", span.output)):
        if raw.get(key) == _AS_MESSAGES:
            raw[key] = [message_json(message) for message in messages]
    return raw


def _trace(known: Trace | None, raw: Json, raw_spans: Sequence[Json], now: datetime) -> Trace:
    spans = [_span(span, now) for span in raw_spans]
    root = next((span for span in spans if span.parent_id is None), None)
    metadata = raw.get("metadata") or {}
    kept = {key: value for key, value in raw.items() if key not in ("id", "input", "output", "metadata")}
    # That a key was given is kept; its value stands elsewhere.
    kept |= {key: None for key in ("input", "output", "metadata") if key in raw}
    starts = [span.started_at for span in spans]
    created = _moment(raw.get("created")) or min(starts, default=None)
    return Trace(
        id=raw["id"],
        run_id=known.run_id if known else None,
        task=known.task if known else None,
        case_id=known.case_id if known else None,
        sample=known.sample if known else 0,
        name=(root.name if root else None) or raw["id"],
        created_at=created or (known.created_at if known else now),
        input=raw.get("input"),
        output=raw.get("output"),
        error=root.error if root else None,
        metadata={**metadata, _RAW: kept},
        scores=[*_others(known), *_scores(raw_spans)],
        spans=spans,
    )


def _others(known: Trace | None) -> list[Score]:
    """Return the scores that did not come with spans."""
    return [score for score in known.scores if score.source is not ScoreSource.SDK] if known else []


def _scores(raw_spans: Sequence[Json]) -> list[Score]:
    named = {name: value for span in raw_spans for name, value in (span.get("scores") or {}).items()}
    return [
        Score(name=name, value=value, source=ScoreSource.SDK)
        for name, value in named.items()
        if value is not None
    ]


def _span(raw: Json, now: datetime) -> Span:
    metrics, metadata = raw.get("metrics") or {}, raw.get("metadata") or {}
    attributes = raw.get("span_attributes") or {}
    name = raw.get("name") or attributes.get("name") or raw["id"]
    kind = _KINDS.get(str(attributes.get("type")), SpanKind.CHAIN)
    model = metadata.get("model") if isinstance(metadata.get("model"), str) else None
    provider = _provider(name, model) if kind is SpanKind.LLM else None
    start, end = _moment(metrics.get("start")), _moment(metrics.get("end"))
    kept = {key: value for key, value in raw.items() if key != "id"}
    sides = {}
    for key, role in (("input", "user"), ("output", "tool" if kind is SpanKind.TOOL else "assistant")):
        messages = _messages(raw.get(key), role)
        sides[key] = messages
        if messages and [message_json(message) for message in messages] == raw.get(key):
            kept[key] = _AS_MESSAGES
    parents = raw.get("span_parents") or [None]
    error = raw.get("error")
    return Span(
        id=raw["id"],
        parent_id=parents[0],
        name=name,
        kind=kind,
        provider=provider,
        model=model,
        usage=_usage(metrics, provider),
        started_at=start or _moment(raw.get("created")) or now,
        latency_ms=max(0.0, (end - start).total_seconds() * 1000) if start and end else None,
        error=None if error is None else _text(error),
        metadata={_RAW: kept},
        **sides,
    )


def _usage(metrics: Mapping[str, Any], provider: str | None) -> Usage:
    prompt, read = metrics.get("prompt_tokens"), metrics.get("cache_read_input_tokens")
    written = metrics.get("cache_creation_input_tokens")
    if prompt is not None and provider == "anthropic":
        # Theirs leave the cached ones out; ours count all.
        prompt += (read or 0) + (written or 0)
    return Usage(
        input_tokens=prompt,
        output_tokens=metrics.get("completion_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def _provider(name: str, model: str | None) -> str | None:
    named = _PROVIDER_OF_NAME.match(name)
    if named is not None:
        return named[1]
    return next((maker for start, maker in _PROVIDER_OF_MODEL if model and model.startswith(start)), None)


def _messages(value: Any, role: str) -> list[Message]:
    if value is None:
        return []
    if isinstance(value, list) and value and all(_is_message(item) for item in value):
        return [Message(role=item["role"], parts=_parts(item.get("content"))) for item in value]
    return [Message(role=role, parts=_parts(_text(value)))]


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("role"), str)


def _parts(content: Any) -> list[Part]:
    if isinstance(content, list):
        return [_part(item) for item in content]
    return [] if content is None else [Part(type="text", content=_text(content))]


def _part(item: Any) -> Part:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        return Part(type="text", content=_text(item))
    if item["type"] == "text" and isinstance(item.get("text"), str) and "content" not in item:
        return Part(type="text", content=item["text"])
    content = item.get("content")
    if content is not None and not isinstance(content, str):
        return Part.model_validate({**item, "content": _text(content)})
    return Part.model_validate(item)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(value: Any) -> datetime | None:
    """Return a time that is given as a text or in seconds since the epoch.

    Raises:
        ValueError: There is no such time.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{value!r} is no time") from None
