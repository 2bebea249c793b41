"""Kaizen CT's optimisations: those that are asked for, and those that enough feedback starts by itself."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from .... import models
from ....errors import JobError, KaizenError, ProposalError, StoreError
from ....models import JobStatus
from ....pipeline import jobs
from ....pipeline.feedback.logged import due_job
from ....pipeline.feedback.measure import Forecast, forecast
from ....pipeline.prompt_versions import active_text, prompt_to_improve
from ....pipeline.pulls import PREVIEW, RESULT
from ....pipeline.search import Search
from ....platforms.kaizen_ct import CostEstimate, Job, JobList, OptimizeResult
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..known import job_of, task_id_of, task_of
from .tasks import version_id_of

_STATUS = {
    JobStatus.QUEUED: "PENDING",
    JobStatus.RUNNING: "RUNNING",
    JobStatus.COMPLETED: "SUCCESS",
    JobStatus.FAILED: "FAILURE",
    JobStatus.STOPPED: "FAILURE",
}
#: What a running search does, by how its step begins.
_BY_STEP = {
    "validating": "EVALUATING",
    "comparing": "EVALUATING",
    "round": "COMPILING",
    "reflection": "COMPILING",
}
_TRIGGERS = {"api": "api_on_demand", "threshold": "auto_threshold"}
#: Of what came of a job, what its metadata shows.
_SHOWN = ("sentence", "decision", "diff", PREVIEW)
_log = logging.getLogger("pytest_kaizen.server")
#: After a search that failed, as it does without a model's key, feedback starts none for so long.
_AFTER_FAILURE = timedelta(minutes=10)


class JobQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    task_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 200


class Planned(NamedTuple):
    """A search that may start, and what it may take."""

    task: models.Task
    search: Search
    forecast: Forecast


async def start(call: Call, task_id: str) -> OptimizeResult | ASGIApp:
    """Start a search for a better prompt, with the task's feedback as the metric."""
    planned = await run_in_threadpool(plan, call, task_id)
    answer = await call.once(partial(_start, planned))
    call.state.worker.begin(call.workspace.id)
    return answer


def get(call: Call, job_id: str) -> Job:
    """Show how an optimisation stands."""
    return _shown(call.store, _optimisation(call.store, job_id))


def list_jobs(call: Call, query: JobQuery) -> JobList:
    """List optimisations, the newest first."""
    name = None if query.task_id is None else task_of(call.store, query.task_id).name
    found = call.store.jobs.newest(name, kind=jobs.OPTIMIZE, limit=query.limit)
    return JobList([_shown(call.store, job) for job in found])


def retry_pr(call: Call, job_id: str) -> Job:
    """Try again to open the pull request of a job, after that failed."""
    job = _optimisation(call.store, job_id)
    if _status(job) != "PR_FAILED":
        raise Refusal(409, f"the job is {_status(job)}; a pull request is tried again after PR_FAILED only")
    return _proposed(call, job)


def create_pr(call: Call, job_id: str) -> Job:
    """Open the pull request that a job has a preview of; once it is open, a second time changes nothing."""
    job = _optimisation(call.store, job_id)
    if PREVIEW not in job.result:
        raise Refusal(409, "the job has no preview of a pull request, as the mode pr_preview makes one")
    return _proposed(call, job)


def _optimisation(store: Store, job_id: str) -> models.Job:
    job = job_of(store, job_id)
    if job.kind != jobs.OPTIMIZE:
        raise Refusal(404, f"job {job_id!r} is no optimisation")
    return job


def _proposed(call: Call, job: models.Job) -> Job:
    from ....pipeline.pulls.from_task import TaskPulls

    try:
        return _shown(call.store, TaskPulls(call.state.config, call.store).open(job))
    except JobError as exc:
        raise Refusal(409, str(exc)) from None
    except ProposalError as exc:
        raise Refusal(400, str(exc)) from None


def _status(job: models.Job) -> str:
    """Return a job's status in their words."""
    if job.status is JobStatus.RUNNING:
        return _BY_STEP.get(job.step.partition(" ")[0], "RUNNING")
    pull = job.result.get(RESULT)
    return (
        "PR_FAILED" if job.status is JobStatus.COMPLETED and pull and not pull["url"] else _STATUS[job.status]
    )


def plan(call: Call, task_id: str) -> Planned:
    """Plan a search for a better prompt of a task, without asking a model.

    Raises:
        Refusal: It cannot start: there is no such task (404), a search is active (409), or there is no
            feedback, active prompt or price (400).
    """
    config, store = call.state.config, call.store
    task = task_of(store, task_id)
    search = search_of(call, task, "api")
    try:
        jobs.require_free(store, jobs.OPTIMIZE, task.name)
        if not store.feedback.count(task.id).total:
            raise Refusal(400, f"'{task.name}' has no feedback to search with", code="NO_FEEDBACK")
        prompt = prompt_to_improve(store, task.name)
        return Planned(task, search, forecast(config, store, task, search, prompt))
    except JobError:
        raise _active(task) from None
    except StoreError:
        raise
    except KaizenError as exc:
        raise Refusal(400, str(exc)) from None


def search_of(call: Call, task: models.Task, triggered_by: str) -> Search:
    """Return the search for a better prompt of a task, as its settings and the server's have it."""
    return Search.of(
        call.state.config,
        task.name,
        budget_usd=task.cost_budget,
        source="feedback",
        triggered_by=triggered_by,
    )


def _start(planned: Planned, store: Store) -> OptimizeResult:
    task, search, cost = planned
    try:
        job = jobs.create(store, jobs.OPTIMIZE, task.name, search.settings, search.triggered_by)
    except JobError:
        raise _active(task) from None
    budget = search.budget.usd
    warning = None
    if budget is not None and cost.usd > budget:
        warning = f"up to ${cost.usd:.2f} may be needed; the search stops at the budget of ${budget:.2f}"
    return OptimizeResult(
        job=_shown(store, job),
        cost_estimate=CostEstimate(
            estimated_cost_usd=round(cost.usd, 6),
            estimated_llm_calls=cost.calls,
            train_size=cost.search,
            val_size=cost.validation,
            max_trials=cost.rollouts,
            teacher_model=cost.reflector,
            judge_model=cost.judge,
        ),
        budget_warning=warning,
    )


def _active(task: models.Task) -> Refusal:
    return Refusal(409, f"an optimisation of '{task.name}' is active already; wait for that job")


def _shown(store: Store, job: models.Job) -> Job:
    task = store.tasks.find(job.task)
    number = job.result.get("version")
    made = None if number is None else store.prompt(job.task, number)
    pull = job.result.get(RESULT, {})
    metadata = {key: job.result[key] for key in _SHOWN if job.result.get(key)}
    return Job(
        id=job.uuid,
        task_id=task_id_of(store, job.task),
        prompt_version_id=None if task is None or made is None else version_id_of(task, made),
        status=_status(job),
        triggered_by=_TRIGGERS.get(job.triggered_by, job.triggered_by),
        pr_url=pull.get("url"),
        error_message="the job was stopped"
        if job.status is JobStatus.STOPPED
        else job.error or pull.get("error"),
        job_metadata={**metadata, "spend": job.spend.model_dump()},
        progress_step=job.step or None,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.finished_at,
    )


OPERATIONS = (
    Operation("POST", "/api/v1/optimize/{task_id}", Access.WRITE, start, errors=(400, 404, 409)),
    Operation("GET", "/api/v1/jobs", Access.READ, list_jobs, errors=(404,)),
    Operation("GET", "/api/v1/jobs/{job_id}", Access.READ, get, errors=(404,)),
    Operation(
        "POST", "/api/v1/jobs/{job_id}/retry-pr", Access.WRITE, retry_pr, errors=(400, 404, 409), asks=True
    ),
    Operation(
        "POST", "/api/v1/jobs/{job_id}/create-pr", Access.WRITE, create_pr, errors=(400, 404, 409), asks=True
    ),
)


def is_threshold_reached(store: Store, task: models.Task) -> bool:
    """Say whether a task has as much new feedback as a search takes."""
    return store.feedback.count(task.id).fresh >= task.feedback_threshold


async def search_if_due(call: Call, task: models.Task) -> None:
    """Start a search if none is active; what fails in that is logged, the feedback is stored all the same."""
    search = search_of(call, task, "threshold")
    try:
        job = await call.write(partial(_start_if_due, task, search))
    except KaizenError as exc:
        _log.warning("no search for a better prompt of '%s': %s", task.name, exc)
        return
    if job is not None:
        call.state.worker.begin(call.workspace.id)


def _start_if_due(task: models.Task, search: Search, store: Store) -> models.Job | None:
    if not active_text(store, task.name):
        return None
    known = store.jobs.newest(task.name, kind=jobs.OPTIMIZE, limit=1)
    if known and known[0].status is JobStatus.FAILED and _is_recent(known[0].finished_at):
        return None
    return due_job(store, task, search)


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and datetime.now(UTC) - moment < _AFTER_FAILURE
