"""Insights, which people accept or reject, and proposals with their evidence."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ...errors import UsageError
from ...models import Insight, InsightStatus, PromptVersion
from ...models.insight import DEFAULT_BUDGET_USD
from ...pipeline.stored_prompts import write_stored_prompt
from ...platforms.kayba.wire import GenerateInsights, JobStarted
from ...store import Store
from ..operation import Access, Call
from ..problem import Refusal
from ..routes.kayba.insights import desk_of, generate, require_insights
from .page import ROOT, Page, Redirect, View, url

_PAGE = 100


class InsightsQuery(BaseModel):
    """Which insights are listed."""

    status: InsightStatus = InsightStatus.PENDING
    task: str | None = None
    #: The one that was decided about just now.
    done: str | None = None


class Wanted(BaseModel):
    """What insights are drawn from: the traces that are named, those of a task, or all."""

    trace: tuple[str, ...] = ()
    task: Annotated[str, Field(max_length=200)] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None


class Decision(BaseModel):
    """What a person thinks of an insight, and which list to go on with."""

    decision: Literal["accept", "reject", "note"]
    note: str | None = None
    status: InsightStatus = InsightStatus.PENDING
    task: str | None = None
    next: str | None = None


def list_insights(call: Call, query: InsightsQuery) -> View:
    """List insights, the newest first, to be accepted or rejected."""
    every = call.store.insights(query.task)
    found = [insight for insight in every if insight.status is query.status]
    values = {
        "insights": found[:_PAGE],
        "total": len(found),
        "status": query.status.value,
        "task": query.task,
        "counts": [(status.value, sum(one.status is status for one in every)) for status in InsightStatus],
        "accepted": sorted({one.task for one in every if one.status is InsightStatus.ACCEPTED}),
        "done": next((insight for insight in every if insight.id == query.done), None),
        "texts": {insight.id: insight.text for insight in every},
        "model": call.state.config.judge.model,
        "budget": DEFAULT_BUDGET_USD,
    }
    return View("insights.list", values)


async def draw(call: Call, body: Wanted) -> Redirect | ASGIApp:
    """Have a model draw insights from traces."""
    ids: list[str] | None = [*body.trace] or None
    if ids is None and body.task is not None:
        ids = await run_in_threadpool(call.store.shelf.ids, body.task)
        if not ids:
            raise Refusal(404, f"there is no trace of the task {body.task!r}")
    started = await generate(call, GenerateInsights(trace_ids=ids, model=body.model))
    return Redirect(url("jobs", started.job_id)) if isinstance(started, JobStarted) else started


async def decide(call: Call, body: Decision, insight_id: str) -> Redirect:
    """Accept or reject an insight, or write a note on it."""
    await call.write(partial(_decide, call, insight_id, body))
    mark = insight_id if body.decision == "note" else body.next or ""
    asked = {"status": body.status.value, "task": body.task, "done": insight_id}
    return Redirect(url("insights", mark=f"i-{mark}" if mark else "", **asked))


async def write_prompt(call: Call, task: str) -> Redirect:
    """Make the next version of a prompt, with the accepted insights as rules."""
    version = await call.write(partial(_write_prompt, task))
    return Redirect(url("prompts", task, version.version))


def list_proposals(call: Call) -> View:
    """List proposals, the newest first."""
    return View("insights.proposals", {"proposals": call.store.proposals()})


def show_proposal(call: Call, proposal_id: str) -> View:
    """Show a proposal with its evidence."""
    found = next((known for known in call.store.proposals() if known.id == proposal_id), None)
    if found is None:
        raise Refusal(404, f"there is no proposal {proposal_id!r}")
    versions = [known for known in call.store.prompts(found.task) if known.sha256 == found.sha256]
    values = {"proposal": found, "verdict": found.acceptance, "version": versions[0] if versions else None}
    return View("insights.proposal", values)


def _decide(call: Call, insight_id: str, body: Decision, store: Store) -> None:
    require_insights(store, [insight_id])
    if body.decision == "note":
        noted = (_noted(insight, body.note) for insight in store.insights() if insight.id == insight_id)
        store.save_insights(noted)
        return
    accept, reject = ([insight_id], []) if body.decision == "accept" else ([], [insight_id])
    desk_of(call, store).triage_insights(accept, reject, note=body.note)


def _noted(insight: Insight, note: str | None) -> Insight:
    return insight.model_copy(update={"note": note})


def _write_prompt(task: str, store: Store) -> PromptVersion:
    try:
        return write_stored_prompt(store, task=task)
    except UsageError as exc:
        raise Refusal(422, str(exc)) from None


PAGES = (
    Page("GET", f"{ROOT}/insights", Access.READ, list_insights),
    Page("POST", f"{ROOT}/insights", Access.WRITE, draw, errors=(404, 409)),
    Page("POST", f"{ROOT}/insights/{{insight_id}}", Access.WRITE, decide, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/from-insights", Access.WRITE, write_prompt, errors=(422,)),
    Page("GET", f"{ROOT}/proposals", Access.READ, list_proposals),
    Page("GET", f"{ROOT}/proposals/{{proposal_id}}", Access.READ, show_proposal, errors=(404,)),
)
