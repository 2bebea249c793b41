"""Whole runs, which no platform's page has: what ``pytest --kaizen`` made on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from ...models import Case, Run
from ...platforms.base.failure import validation_text
from ...platforms.kaizen.wire import CasesBody, RunBody, RunKept
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal
from ..state import State

M = TypeVar("M", Run, Case)


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
    Operation("PUT", "/api/runs/{run_id}", Access.WRITE, put_run),
    Operation("PUT", "/api/runs/{run_id}/cases", Access.WRITE, put_cases, errors=(404,)),
)
