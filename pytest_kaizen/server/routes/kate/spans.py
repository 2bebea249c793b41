"""The spans of Kate's runs: those of the trace that a run is."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.types import ASGIApp

from ....models import AgentRunStatus, Span
from ....pipeline.agent_runs import add_spans, trace_of
from ....platforms.kate.wire import SpanList, SpansUploaded, SpanUpload
from ....store import Store
from ...metrics import Metrics
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..kaizen_ct.ids import as_uuid
from .known import agent_of, run_of


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
    if add_spans(store, agent_of(store, agent_id), run, spans):
        metrics.traces.labels("kate").inc()
    return SpansUploaded(uploaded=len(spans), span_ids=[span.id for span in spans])


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
