"""Kayba's jobs."""

from __future__ import annotations

from functools import partial

from .... import models
from ....errors import JobError
from ....models import JobStatus
from ....pipeline import jobs
from ....pipeline.insights import KIND
from ....platforms.kayba.wire import Job, JobResult, Materialized
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


def get(call: Call, job_id: str) -> Job:
    """Show how a job stands."""
    return _shown(job_of(call.store, job_id))


async def materialize(call: Call, job_id: str) -> Materialized:
    """See to it that a job's insights are in the skillbook; a second time changes nothing."""
    return await call.write(partial(_materialize, call, job_id))


async def cancel(call: Call, job_id: str) -> Job:
    """Stop a job of any kind at its next step; one that has come to an end stays as it is."""
    return await call.write(lambda store: _shown(jobs.stop(store, job_of(store, job_id).id)))


def _shown(job: models.Job) -> Job:
    times = job.model_dump(mode="json", include={"started_at", "finished_at"})
    return Job(
        job_id=job.id,
        status=_STATUS[job.status],
        started_at=times["started_at"],
        completed_at=times["finished_at"],
        error="the job was stopped" if job.status is JobStatus.STOPPED else job.error,
        result=JobResult.model_validate(job.result) if job.kind == KIND and job.result else None,
    )


def _materialize(call: Call, job_id: str, store: Store) -> Materialized:
    job = job_of(store, job_id)
    try:
        return Materialized.model_validate(desk_of(call, store).materialize_job(job.id))
    except JobError as exc:
        raise Refusal(409, str(exc)) from None


OPERATIONS = (
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get, errors=(404,)),
    Operation("POST", "/api/jobs/{job_id}", Access.WRITE, materialize, errors=(404, 409)),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel, errors=(404,)),
)
