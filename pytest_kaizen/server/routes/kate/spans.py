"""The spans of Kate's runs: those of the trace that a run is."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.types import ASGIApp

from ....models import AgentRun, AgentRunStatus, Span, Trace
from ....pipeline.live import content_of
from ....platforms.kate.wire import SpanList, SpansUploaded, SpanUpload
from ....store import Store
from ...metrics import Metrics
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..kaizen_ct.ids import as_uuid
from .known import agent_of, run_of, trace_of


def list_spans(call: Call, agent_id: str, run_id: str) -> SpanList:
    """List the spans of a run, in their order."""
    store = call.store
    trace = trace_of(store, run_of(store, agent_id, run_id))
    return SpanList.of([] if trace is None else trace.spans)


async def upload(call: Call, body: SpanUpload, agent_id: str, run_id: str) -> SpansUploaded | ASGIApp:
    """Add spans to a running run, up to 60 times a minute."""
    most = call.state.config.server.max_batch
    if len(body.spans) > most:
        raise Refusal(413, f"{len(body.spans)} spans in one request; send {most} at most")
    call.state.span_uploads.take((call.workspace.id, as_uuid(run_id)))
    now = datetime.now(UTC)
    spans = call.state.redactor.apart().data([span.to_span(now) for span in body.spans])
    return await call.once(partial(_add, call.state.metrics, agent_id, run_id, spans))


def _add(metrics: Metrics, agent_id: str, run_id: str, spans: list[Span], store: Store) -> SpansUploaded:
    run = run_of(store, agent_id, run_id)
    if run.status is not AgentRunStatus.RUNNING:
        raise Refusal(409, f"run {run.id!r} is {run.status}; only a running one takes spans")
    if spans:
        known = trace_of(store, run)
        store.intake.put([_with(known or _new(store, run), spans)])
        if known is None:
            metrics.traces.labels("kate").inc()
    return SpansUploaded(uploaded=len(spans), span_ids=[span.id for span in spans])


def _new(store: Store, run: AgentRun) -> Trace:
    return Trace(
        id=run.trace_id,
        name=agent_of(store, run.agent_id).name,
        created_at=run.created_at,
        metadata={"source": "kate", "agent_id": run.agent_id, "trigger": run.trigger},
    )


def _with(trace: Trace, more: list[Span]) -> Trace:
    """Return a trace with more spans; what it is about is its last model call, unless somebody said."""
    spans = [*trace.spans, *more]
    if trace.metadata.get("source") != "kate":
        return trace.model_copy(update={"spans": spans})
    content = content_of(spans)
    return trace.model_copy(update={"spans": spans, "input": content.input, "output": content.output})


OPERATIONS = (
    Operation("GET", "/agents/{agent_id}/runs/{run_id}/spans", Access.READ, list_spans, errors=(404,)),
    Operation(
        "POST",
        "/agents/{agent_id}/runs/{run_id}/spans",
        Access.WRITE,
        upload,
        status=201,
        errors=(404, 409),
    ),
)
