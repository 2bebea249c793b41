"""Our own operations.

They are about the server itself; the two paths of Kalmia's page that pass requests on to model providers;
and whole runs, which no platform's page has: what ``pytest --kaizen`` made on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp

from ...config import Endpoint
from ...models import Case, Run
from ...platforms import Health, validation_text
from ...platforms.kaizen import CasesBody, RunBody, RunKept
from ...store import Store
from ..operation import Access, Call, KeyHeader, Operation
from ..problem import Refusal
from ..state import FIGURES_TYPE, State

_ANTHROPIC = Endpoint(api="anthropic.messages", path="/v1/messages")
_OPENAI = Endpoint(api="openai.chat", path="/chat/completions")
_PROXY_ERRORS = (502, 504)
_PROXY_WRITES = ("application/json", "text/event-stream")
M = TypeVar("M", Run, Case)


async def health(call: Call) -> Health:
    """Say that the server answers."""
    return Health()


def ready(call: Call) -> Health:
    """Say that the server can read its store; 503 while it cannot."""
    call.state.workspaces.central.workspaces()
    return Health(status="ready")


async def figures(call: Call) -> Response:
    """Return the server's figures for Prometheus."""
    return Response(call.state.metrics.text(), media_type=FIGURES_TYPE)


def document(call: Call) -> Response:
    """Return this document."""
    return Response(call.state.openapi, media_type="application/json")


async def messages(call: Call, body: bytes) -> ASGIApp:
    """Pass a request on to Anthropic's Messages API and its answer back, and keep a trace."""
    return await _forward(call, body, _ANTHROPIC, call.state.config.server.anthropic_url)


async def chat_completions(call: Call, body: bytes) -> ASGIApp:
    """Pass a request on to OpenAI's Chat Completions API and its answer back, and keep a trace."""
    return await _forward(call, body, _OPENAI, call.state.config.server.openai_url)


async def _forward(call: Call, body: bytes, endpoint: Endpoint, base: str) -> ASGIApp:
    return await call.state.proxy.forward(
        call.workspace,
        endpoint,
        base.rstrip("/") + endpoint.path,
        query=call.scope["query_string"].decode("latin-1"),
        headers=call.headers,
        content=body,
    )


async def put_run(call: Call, run_id: str, body: RunBody) -> RunKept:
    """Store a run, begun or finished; the same one twice changes nothing."""
    run = await run_in_threadpool(_read, call.state, Run, [body.run], "run")
    if run[0].id != run_id:
        raise Refusal(422, f"body.run.id: the path says {run_id!r}", code="INVALID")
    return await call.write(partial(_put_run, run[0]))


async def put_cases(call: Call, run_id: str, body: CasesBody) -> RunKept:
    """Store cases of a run with their samples; the same ones twice change nothing."""
    most = call.state.config.server.max_batch
    if len(body.cases) > most:
        raise Refusal(413, f"{len(body.cases)} cases in one request; send {most} at most")
    cases = await run_in_threadpool(_read, call.state, Case, body.cases, "cases")
    if any(case.run_id != run_id for case in cases):
        raise Refusal(422, f"body.cases: all must be of the run of the path, {run_id!r}", code="INVALID")
    kept = await call.write(partial(_put_cases, run_id, cases))
    call.state.metrics.traces.labels("kaizen").inc(sum(len(case.samples) for case in cases))
    return kept


def _read(state: State, model: type[M], items: list[dict[str, Any]], where: str) -> list[M]:
    """Check what arrived; what this server knows to be secret is taken out, besides what its sender knew."""
    redactor = state.redactor.apart()
    try:
        read = [model.model_validate(redactor.data(item)) for item in items]
        for moment in (found for item in read for found in _times(item)):
            # The store keeps them in UTC, where the first and the last day of all may not be.
            moment.astimezone(UTC)
    except (ValidationError, ValueError, OverflowError) as exc:
        said = validation_text(exc) if isinstance(exc, ValidationError) else str(exc)
        raise Refusal(422, f"body.{where}: {said}", code="INVALID") from None
    return read


def _times(item: Run | Case) -> Iterator[datetime]:
    if isinstance(item, Run):
        yield from filter(None, (item.created_at, item.finished_at))
        return
    for trace in (sample.trace for sample in item.samples):
        yield trace.created_at
        yield from (span.started_at for span in trace.spans)


def _put_run(run: Run, store: Store) -> RunKept:
    store.received.put_run(run)
    return RunKept(run_id=run.id, cases=0)


def _put_cases(run_id: str, cases: list[Case], store: Store) -> RunKept:
    if not store.received.has_run(run_id):
        raise Refusal(404, f"there is no run {run_id!r}")
    store.received.put_cases(run_id, cases)
    return RunKept(run_id=run_id, cases=len(cases))


OPERATIONS = (
    Operation("GET", "/health", Access.PUBLIC, health),
    Operation("GET", "/ready", Access.PUBLIC, ready, errors=(503,)),
    Operation("GET", "/metrics", Access.LOCAL, figures, writes=("text/plain",)),
    Operation("GET", "/openapi.json", Access.PUBLIC, document),
    Operation(
        "POST",
        "/api/v1/messages",
        Access.WRITE,
        messages,
        key=KeyHeader.OWN,
        errors=_PROXY_ERRORS,
        writes=_PROXY_WRITES,
    ),
    Operation(
        "POST",
        "/api/v1/chat/completions",
        Access.WRITE,
        chat_completions,
        key=KeyHeader.OWN,
        errors=_PROXY_ERRORS,
        writes=_PROXY_WRITES,
    ),
    Operation("PUT", "/api/runs/{run_id}", Access.WRITE, put_run),
    Operation("PUT", "/api/runs/{run_id}/cases", Access.WRITE, put_cases, errors=(404,)),
)
