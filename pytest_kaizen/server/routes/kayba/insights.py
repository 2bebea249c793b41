"""Kayba's insights."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ....errors import JobError, UsageError
from ....pipeline import jobs
from ....pipeline.desks.kayba import LocalDesk
from ....pipeline.insights import Study, choose
from ....platforms.kayba.wire import GenerateInsights, Insight, Insights, JobStarted, Triage
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal


class InsightQuery(BaseModel, defer_build=True):
    """What may be asked of the list; the status ``new`` is another name for ``pending``."""

    status: Literal["pending", "new", "accepted", "rejected"] | None = None
    section: str | None = None


async def generate(call: Call, body: GenerateInsights) -> JobStarted | ASGIApp:
    """Start a job that draws insights from traces, all of them or those named."""
    study = await run_in_threadpool(_study, call, body)
    answer = await call.once(partial(_start, study, body.anthropic_api_key or None))
    call.state.worker.begin(call.workspace.id)
    return answer


def list_insights(call: Call, query: InsightQuery) -> Insights:
    """List insights, the newest first."""
    found = desk_of(call, call.store).list_insights(query.status, query.section)
    return Insights.model_validate({"insights": found})


async def triage(call: Call, body: Triage, insight_id: str) -> Insight:
    """Accept or reject an insight."""
    return await call.write(partial(_triage, call, insight_id, body))


def desk_of(call: Call, store: Store) -> LocalDesk:
    """Return what answers Kayba's calls over a store."""
    return LocalDesk(call.state.config, store, call.state.redactor)


def require_insights(store: Store, ids: list[str]) -> None:
    """Make sure that insights are there.

    Raises:
        Refusal: One is not (404).
    """
    there = {insight.id for insight in store.insights()}
    # The desk takes beginnings of ids too, which a program never means.
    missing = next((given for given in ids if given not in there), None)
    if missing is not None:
        raise Refusal(404, f"there is no insight {missing!r}")


def _study(call: Call, body: GenerateInsights) -> Study:
    store, config = call.store, call.state.config
    ids = body.trace_ids
    missing = next((given for given in ids or () if store.intake.one(given) is None), None)
    if missing is not None:
        raise Refusal(404, f"there is no trace {missing!r}")
    try:
        chosen = choose(config, store, ids)
    except UsageError as exc:
        raise Refusal(400, str(exc), code="NO_TRACES") from None
    return Study(
        chosen.traces,
        model=body.model or config.judge.model,
        epochs=body.epochs or 1,
        mode=body.reflector_mode or "recursive",
        own_key=bool(body.anthropic_api_key),
    )


def _start(study: Study, key: str | None, store: Store) -> JobStarted:
    try:
        job = jobs.create(store, jobs.INSIGHTS, study.task, study.settings, "api", key=key)
    except JobError:
        raise Refusal(409, f"insights of '{study.task}' are being drawn already; wait for that job") from None
    return JobStarted(job_id=job.id)


def _triage(call: Call, insight_id: str, body: Triage, store: Store) -> Insight:
    require_insights(store, [insight_id])
    accept, reject = ([insight_id], []) if body.status == "accepted" else ([], [insight_id])
    (changed,) = desk_of(call, store).triage_insights(accept, reject, note=body.note)
    return Insight.model_validate(changed)


OPERATIONS = (
    Operation("POST", "/api/insights/generate", Access.WRITE, generate, errors=(404, 409, 503)),
    Operation("GET", "/api/insights", Access.READ, list_insights),
    Operation("PATCH", "/api/insights/{insight_id}", Access.WRITE, triage, errors=(404,)),
)
