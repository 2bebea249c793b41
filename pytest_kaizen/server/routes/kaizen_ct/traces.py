"""Kaizen CT's traces and their scores, and the list of traces, whose path it shares with Kalmia."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from ....models import Message, Part, Span, SpanKind, Task, Trace, new_span_id, new_trace_id
from ....pipeline.reported import SCORE, score_trace
from ....platforms.kaizen_ct import ScoreRequest, TraceCreate, TraceList, TraceResult
from ....platforms.kalmia import TracePage
from ....platforms.kalmia.arrived import project_of
from ....platforms.kalmia.arrived import shown as kalmia_shown
from ....platforms.kalmia.trace_wire import KalmiaTrace
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..known import as_uuid, made_id, task_id_of, task_of, trace_of
from .jobs import is_threshold_reached, search_if_due

#: What of a trace of theirs ours has no place for, in its metadata.
_THEIRS = "kaizen_ct"
_ONLY_THEIRS = ("model", "tokens", "latency_ms", "source_file", "source_variable")
#: A page is filled from so many traces at a time where a project is asked for, which no index knows.
_LOOKED_AT = 200


async def create_trace(call: Call, body: TraceCreate) -> TraceResult | ASGIApp:
    """Store a trace of one call to a model."""
    trace = _trace(body, datetime.now(UTC))
    return await call.once(partial(_add_trace, body.task_id, call.state.redactor.apart().trace(trace)))


async def score(call: Call, body: ScoreRequest, trace_id: str) -> TraceResult | ASGIApp:
    """Give a trace a score, over an earlier one; it is feedback where the task's feedback is traces."""
    reached: list[Task] = []
    answer = await call.once(partial(_score, trace_id, body, reached))
    if reached:
        await search_if_due(call, reached[-1])
    return answer


def shown_trace(store: Store, trace: Trace) -> TraceResult:
    """Return a trace as Kaizen CT has it."""
    theirs = trace.metadata.get(_THEIRS, {})
    calls = trace.llm_spans
    counts = [count for span in calls for count in (span.usage.input_tokens, span.usage.output_tokens)]
    latencies = [span.latency_ms for span in calls if span.latency_ms is not None]
    derived = {
        "model": next((span.model for span in calls if span.model), None),
        "tokens": sum(count for count in counts if count is not None) if any(counts) else None,
        "latency_ms": sum(latencies) if latencies else None,
    }
    given = next((item for item in reversed(trace.scores) if item.name == SCORE), None)
    metadata = {key: value for key, value in trace.metadata.items() if key not in (_THEIRS, "scored_by")}
    return TraceResult(
        id=as_uuid(trace.id) or made_id("trace", trace.id),
        task_id=task_id_of(store, trace.task),
        prompt_text=_text(trace.input),
        response_text=_text(trace.output),
        score=None if given is None else given.value,
        scored_by=None if given is None else trace.metadata.get("scored_by", given.source.value),
        metadata=metadata or None,
        created_at=trace.created_at,
        **{**derived, **{key: theirs[key] for key in _ONLY_THEIRS if theirs.get(key) is not None}},
    )


def _trace(body: TraceCreate, now: datetime) -> Trace:
    call = Span(
        id=new_span_id(),
        name=f"chat {body.model}" if body.model else "chat",
        kind=SpanKind.LLM,
        model=body.model,
        input=_message("user", body.prompt_text),
        output=_message("assistant", body.response_text),
        started_at=now,
        latency_ms=body.latency_ms,
    )
    theirs = {key: getattr(body, key) for key in _ONLY_THEIRS}
    return Trace(
        id=new_trace_id(),
        name="",
        created_at=now,
        input=body.prompt_text,
        output=body.response_text,
        metadata={**(body.metadata or {}), _THEIRS: theirs},
        spans=[call],
    )


def _add_trace(task_id: str, trace: Trace, store: Store) -> TraceResult:
    task = task_of(store, task_id)
    named = trace.model_copy(update={"task": task.name, "name": task.name})
    store.intake.put([named])
    return shown_trace(store, named)


def _score(trace_id: str, body: ScoreRequest, reached: list[Task], store: Store) -> TraceResult:
    scored, task = score_trace(store, trace_of(store, trace_id), body.score, body.scored_by)
    if task is not None and is_threshold_reached(store, task):
        reached.append(task)
    return shown_trace(store, scored)


def _message(role: str, text: str | None) -> list[Message]:
    return [] if text is None else [Message(role=role, parts=[Part(type="text", content=text)])]


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


class TraceQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    project: str | None = None
    provider: str | None = None
    task_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def list_traces(call: Call, query: TraceQuery) -> TracePage | TraceList:
    """List traces, the newest first: with X-API-Key or task_id as Kaizen CT does, else as Kalmia does."""
    if query.task_id is not None or "x-api-key" in call.headers:
        return _of_kaizen_ct(call.store, query)
    return _of_kalmia(call, query)


def _of_kaizen_ct(store: Store, query: TraceQuery) -> TraceList:
    task = None if query.task_id is None else task_of(store, query.task_id).name
    page = store.intake.page(task=task, limit=query.limit)
    return TraceList([shown_trace(store, trace) for trace in page.traces])


def _of_kalmia(call: Call, query: TraceQuery) -> TracePage:
    after = _read_cursor(query.cursor)
    found: list[KalmiaTrace] = []
    at_once = query.limit if query.project is None else _LOOKED_AT
    while True:
        page = call.store.intake.page(provider=query.provider, limit=at_once, after=after)
        for number, (trace, end) in enumerate(zip(page.traces, page.ends, strict=True), 1):
            if query.project in (None, project_of(trace)):
                found.append(kalmia_shown(trace))
            if len(found) == query.limit and (page.more or number < len(page.traces)):
                return TracePage(traces=found, next_cursor=urlsafe_b64encode(end.encode()).decode())
        if not page.more:
            return TracePage(traces=found, next_cursor=None)
        after = page.ends[-1]


def _read_cursor(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        end = urlsafe_b64decode(cursor.encode()).decode()
        int(end.rpartition("|")[2])
    except (binascii.Error, ValueError):
        raise Refusal(422, "query.cursor: give the next_cursor of a page", code="INVALID") from None
    return end


OPERATIONS = (
    Operation("POST", "/api/v1/traces", Access.WRITE, create_trace, status=201, errors=(404,)),
    Operation("POST", "/api/v1/traces/{trace_id}/score", Access.WRITE, score, errors=(404,)),
    Operation("GET", "/api/v1/traces", Access.READ, list_traces, errors=(404,)),
)
