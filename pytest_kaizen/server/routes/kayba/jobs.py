"""Kayba's jobs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field

from .... import models
from ....errors import JobError
from ....models import JobStatus
from ....pipeline import jobs
from ....platforms.kayba.wire import Job, JobResult, Jobs, Materialized
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..kaizen_ct.ids import job_of
from .insights import desk_of

_STATUS = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "running",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "failed",
}


class JobQuery(BaseModel):
    """What may be asked of the list."""

    task: str | None = None
    kind: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


def get(call: Call, job_id: str) -> Job:
    """Show how a job stands."""
    return _shown(job_of(call.store, job_id))


def list_jobs(call: Call, query: JobQuery) -> Jobs:
    """List jobs of all kinds, the newest first; of one task or kind only, where given."""
    return Jobs([_shown(job) for job in call.store.jobs.newest(query.task, kind=query.kind)[: query.limit]])


async def materialize(call: Call, job_id: str) -> Materialized:
    """See to it that a job's insights are in the skillbook; a second time changes nothing."""
    return await call.write(partial(_materialize, call, job_id))


async def cancel(call: Call, job_id: str) -> Job:
    """Stop a job of any kind at its next step; one that has come to an end stays as it is."""
    return await call.write(lambda store: _shown(jobs.stop(store, job_of(store, job_id).id)))


def _shown(job: models.Job) -> Job:
    error = "the job was stopped" if job.status is JobStatus.STOPPED else job.error
    shown = Job.of(job)
    if job.kind == jobs.IMPORT and job.result:
        shown = shown.model_copy(update={"result": JobResult(summary=job.result)})
    return shown.model_copy(update={"status": _STATUS[job.status], "error": error})


def _materialize(call: Call, job_id: str, store: Store) -> Materialized:
    job = job_of(store, job_id)
    try:
        return Materialized.model_validate(desk_of(call, store).materialize_job(job.id))
    except JobError as exc:
        raise Refusal(409, str(exc)) from None


OPERATIONS = (
    Operation("GET", "/api/jobs", Access.READ, list_jobs),
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get, errors=(404,)),
    Operation("POST", "/api/jobs/{job_id}", Access.WRITE, materialize, errors=(404, 409)),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel, errors=(404,)),
)
