"""Prompts: their versions, the search for better ones, the insights that they are made of, proposals.

A version has a text, what changed in it, scores, and is active or not. People accept insights or reject
them, and see a proposal with its evidence.
"""

from __future__ import annotations

import difflib
from functools import partial
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ...errors import UsageError
from ...models import Insight, InsightStatus, PromptVersion
from ...models.proposal import DEFAULT_BUDGET_USD
from ...pipeline.prompt_versions import write_stored_prompt
from ...platforms.kaizen_ct import OptimizeResult
from ...platforms.kayba import GenerateInsights, JobStarted
from ...store import Store
from ...store.prompts import Status
from ..operation import Access, Call
from ..problem import Refusal
from ..routes import kayba
from ..routes.kaizen_ct import jobs
from ..routes.kayba import desk_of, require_insights
from ..routes.known import job_of, task_of
from .order import Column, Sorting, in_order, order
from .page import ROOT, Page, Redirect, View, url

_INSIGHTS_SHOWN = 100

_TASK_COLUMNS = (
    Column("task", "Task", lambda row: row[0]),
    Column("active", "Active", lambda row: row[2]),
    Column("newest", "Newest", lambda row: row[1].version),
    Column("versions", "Versions", lambda row: len(row[3]), is_number=True),
    Column("score", "Score of the newest", lambda row: row[1].eval_score, is_number=True),
)
_VERSION_COLUMNS = (
    Column("version", "Version", lambda entry: entry.version.version),
    Column("status", "Status", lambda entry: entry.status),
    Column("score", "Score", lambda entry: entry.version.eval_score, is_number=True),
    Column("from", "From", lambda entry: entry.version.source),
    Column("parent", "Parent", lambda entry: entry.version.parent),
    Column("made", "Made", lambda entry: entry.version.created_at),
    Column("note", "Note", lambda entry: entry.version.note),
)
_PROPOSAL_COLUMNS = (
    Column("proposal", "Proposal", lambda one: one.id),
    Column("task", "Task", lambda one: one.task),
    Column("made", "Made", lambda one: one.created_at),
    Column("decision", "Held-out cases say", lambda one: one.acceptance.decision.value),
    Column("before", "Before", lambda one: one.acceptance.before, is_number=True),
    Column("after", "After", lambda one: one.acceptance.after, is_number=True),
    Column("status", "Status", lambda one: one.status.value),
)


class Against(BaseModel):
    """What a version is compared with: the number of another; its parent where none is given."""

    against: int | None = None


class Entry(NamedTuple):
    """A version in a list."""

    version: PromptVersion
    status: Status


def list_prompts(call: Call, query: Sorting) -> View:
    """List the tasks that have prompts, with the active version of each."""
    by_task: dict[str, list[PromptVersion]] = {}
    for version in call.store.prompts():
        by_task.setdefault(version.task, []).append(version)
    rows = [
        (task, versions[-1], call.store.activations.active(task), versions)
        for task, versions in by_task.items()
    ]
    ordered = order(_TASK_COLUMNS, query.sort, "prompts")
    return View("prompts.list", {"rows": in_order(rows, ordered), "order": ordered})


def show_prompt(call: Call, query: Sorting, task: str) -> View:
    """List the versions of a task's prompt, the newest first."""
    store = call.store
    entries = [_entry(store, version) for version in reversed(_versions(store, task))]
    known = store.tasks.find(task)
    feedback = store.feedback.count(known.id).total if known is not None else 0
    ordered = order(_VERSION_COLUMNS, query.sort, "prompts", task)
    values = {"task": task, "entries": in_order(entries, ordered), "order": ordered, "feedback": feedback}
    return View("prompts.prompt", values)


def show_version(call: Call, query: Against, task: str, number: str) -> View:
    """Show a version of a prompt, and what is different from another one."""
    versions = _versions(call.store, task)
    version = _version(versions, task, number)
    wanted = version.parent if query.against is None else query.against
    other = next((known for known in versions if known.version == wanted), None)
    if query.against is not None and other is None:
        raise Refusal(404, f"the prompt of {task!r} has no version {query.against}")
    values = {
        "task": task,
        "entry": _entry(call.store, version),
        "other": other,
        "diff": _diff(other, version) if other else [],
        "versions": versions,
    }
    return View("prompts.version", values)


async def activate(call: Call, task: str, number: str) -> Redirect:
    """Make a version the active one; the one before it becomes archived."""
    await call.write(partial(_activate, task, number))
    return Redirect(url("prompts", task))


def show_optimization(call: Call, task: str) -> View:
    """Show what a search for a better prompt takes at most, or why there can be none now."""
    known, planned, problem = task_of(call.store, task), None, None
    try:
        planned = jobs.plan(call, known.id)
    except Refusal as exc:
        problem = exc.detail
    count = call.store.feedback.count(known.id)
    values = {"task": known.name, "planned": planned, "problem": problem, "count": count}
    return View("prompts.optimization", values)


async def optimize(call: Call, task: str) -> Redirect | ASGIApp:
    """Start a search for a better prompt, with the task's feedback as the metric."""
    started = await jobs.start(call, task)
    if not isinstance(started, OptimizeResult):
        return started
    job = await run_in_threadpool(job_of, call.store, str(started.job.id))
    return Redirect(url("jobs", job.id))


def _activate(task: str, number: str, store: Store) -> None:
    store.activations.activate(task, _version(_versions(store, task), task, number).version)


def _versions(store: Store, task: str) -> list[PromptVersion]:
    found = store.prompts(task)
    if not found:
        raise Refusal(404, f"there is no prompt of {task!r}")
    return found


def _version(versions: list[PromptVersion], task: str, number: str) -> PromptVersion:
    found = next((known for known in versions if str(known.version) == number), None)
    if found is None:
        raise Refusal(404, f"the prompt of {task!r} has no version {number!r}")
    return found


def _entry(store: Store, version: PromptVersion) -> Entry:
    return Entry(version, store.activations.status(version.task, version.version))


def _diff(before: PromptVersion, after: PromptVersion) -> list[str]:
    names = (f"version {before.version}", f"version {after.version}")
    return list(difflib.unified_diff(before.text.split("\n"), after.text.split("\n"), *names, lineterm=""))


class InsightsQuery(BaseModel):
    """Which insights are listed."""

    status: InsightStatus = InsightStatus.PENDING
    task: str | None = None
    #: The one that was decided about just now.
    done: str | None = None


class WantedInsights(BaseModel):
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
        "insights": found[:_INSIGHTS_SHOWN],
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


async def draw_insights(call: Call, body: WantedInsights) -> Redirect | ASGIApp:
    """Have a model draw insights from traces."""
    ids: list[str] | None = [*body.trace] or None
    task = body.task if ids is None else None
    newest = partial(call.store.traces, task=task, limit=1)
    if task is not None and not await run_in_threadpool(newest):
        raise Refusal(404, f"there is no trace of the task {task!r}")
    wanted = GenerateInsights(trace_ids=ids, model=body.model)
    started = await kayba.draw_insights(call, wanted, task)
    return Redirect(url("jobs", started.job_id)) if isinstance(started, JobStarted) else started


async def decide_on_insight(call: Call, body: Decision, insight_id: str) -> Redirect:
    """Accept or reject an insight, or write a note on it."""
    await call.write(partial(_decide, call, insight_id, body))
    mark = insight_id if body.decision == "note" else body.next or ""
    asked = {"status": body.status.value, "task": body.task, "done": insight_id}
    return Redirect(url("insights", mark=f"i-{mark}" if mark else "", **asked))


async def write_prompt(call: Call, task: str) -> Redirect:
    """Make the next version of a prompt, with the accepted insights as rules."""
    version = await call.write(partial(_write_prompt, task))
    return Redirect(url("prompts", task, version.version))


def list_proposals(call: Call, query: Sorting) -> View:
    """List proposals, the newest first."""
    ordered = order(_PROPOSAL_COLUMNS, query.sort, "proposals")
    values = {"proposals": in_order(call.store.proposals(), ordered), "order": ordered}
    return View("insights.proposals", values)


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
    Page("GET", f"{ROOT}/prompts", Access.READ, list_prompts),
    Page("GET", f"{ROOT}/prompts/{{task}}", Access.READ, show_prompt, errors=(404,)),
    Page("GET", f"{ROOT}/prompts/{{task}}/optimize", Access.READ, show_optimization, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/optimize", Access.WRITE, optimize, errors=(400, 404, 409)),
    Page("GET", f"{ROOT}/prompts/{{task}}/{{number}}", Access.READ, show_version, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/{{number}}/activate", Access.WRITE, activate, errors=(404,)),
    Page("GET", f"{ROOT}/insights", Access.READ, list_insights),
    Page("POST", f"{ROOT}/insights", Access.WRITE, draw_insights, errors=(404, 409)),
    Page("POST", f"{ROOT}/insights/{{insight_id}}", Access.WRITE, decide_on_insight, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/from-insights", Access.WRITE, write_prompt, errors=(422,)),
    Page("GET", f"{ROOT}/proposals", Access.READ, list_proposals),
    Page("GET", f"{ROOT}/proposals/{{proposal_id}}", Access.READ, show_proposal, errors=(404,)),
)
