"""Jobs: long pieces of work, with their progress, spend and result."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field


class JobStatus(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        """Whether nothing more will come of the job; a stopped one may be resumed as a new job."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED)


class Spend(BaseModel):
    """What was used of a budget.

    Attributes:
        rollouts: Cases run under candidate prompts, a sample each.
        calls: Calls to the model that reflects.
        usd: Both together; what has no known price is not in it.
    """

    rollouts: int = 0
    calls: int = 0
    usd: float = 0.0


class Job(BaseModel):
    """One piece of background work.

    Attributes:
        kind: ``optimize`` or ``insights``.
        step: What it is doing now, in a few words.
        triggered_by: ``gate``, ``command``, ``threshold``.
        spend: So far.
        result: What came of it, as JSON: the proposal's id, the number of insights.
        error: Why it failed.
    """

    id: str
    kind: str
    task: str
    status: JobStatus = JobStatus.QUEUED
    step: str = ""
    triggered_by: str = "command"
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    spend: Spend = Field(default_factory=Spend)
    result: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
