"""Work that outlasts a run: jobs, with their progress, spend and result, and the uploads still owed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

_NAMESPACE = UUID("5b0c7a52-4d0c-4c2e-9a52-6b8f0f1f2f4e")

#: What a backend knows about a run at its platform: ids of what was made there, as JSON.
Remote = dict[str, Any]


def made_id(*parts: object) -> UUID:
    """Make an id of what identifies a thing here: the same id whenever it is shown."""
    return uuid5(_NAMESPACE, " ".join(map(str, parts)))


class JobStatus(StrEnum):
    """Where a job stands; the last three end it."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        """Whether the job has come to an end; one that failed or was stopped may be gone on with."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED)


#: The words for those that end a job; a word of another server that is none of them does not.
FINAL = frozenset(status.value for status in JobStatus if status.final)


class Spend(BaseModel, defer_build=True):
    """What was used of a budget.

    Attributes:
        rollouts: Cases run under candidate prompts, a sample each.
        calls: Calls to the model that reflects.
        usd: Both together; what has no known price is not in it.
    """

    rollouts: int = 0
    calls: int = 0
    usd: float = 0.0


class Job(BaseModel, defer_build=True):
    """One piece of background work.

    Attributes:
        kind: ``optimize``, ``insights``, ``analysis``, ``detection``, ``evaluation`` or ``agent-run``.
        task: What it is for: a task, or what its kind knows; one job of a kind is active for it.
        step: What it is doing now, in a few words.
        triggered_by: ``gate``, ``command``, ``threshold``.
        settings: What was asked for, as JSON: all that another process needs to go on with it.
        owner: The process that has it, ``host:pid:code``; None while it is queued.
        heartbeat_at: When that process last showed that it lives.
        retries: How often a worker may still begin it anew after a failure that may pass.
        not_before: When, of one that was put off.
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
    settings: dict[str, Any] = Field(default_factory=dict)
    owner: str | None = None
    heartbeat_at: datetime | None = None
    retries: int = 0
    not_before: datetime | None = None
    spend: Spend = Field(default_factory=Spend)
    result: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None

    @property
    def uuid(self) -> UUID:
        """Its id for those whose ids are UUIDs, as Kaizen CT's and Kate's are."""
        return made_id("job", self.id)

    def is_waiting(self, now: datetime, silent_since: datetime) -> bool:
        """Whether a worker is to do it now: it is queued and not put off, or its process is dead."""
        due = self.not_before is None or self.not_before <= now
        return due if self.status is JobStatus.QUEUED else self.is_dead(silent_since)

    def is_dead(self, silent_since: datetime) -> bool:
        """Whether it is said to run, in a process that has shown no sign of life since then."""
        silent = self.heartbeat_at is None or self.heartbeat_at < silent_since
        return self.status is JobStatus.RUNNING and silent


class ParcelKind(StrEnum):
    """What a parcel brings, in the order in which a run has them."""

    RUN_BEGUN = "run begun"
    SAMPLE = "sample"
    CASE_FINISHED = "case finished"
    RUN_FINISHED = "run finished"


class OutboxState(StrEnum):
    """Where a row of the outbox stands."""

    OWED = "owed"
    ACKNOWLEDGED = "acknowledged"
    SET_ASIDE = "set aside"


class OutboxRow(BaseModel, defer_build=True):
    """One parcel that one backend is owed: what it is about, not its content.

    Attributes:
        number: Its place in the order in which the parcels came to be.
        case_id: Of a sample or a case.
        trace_id: Of a sample.
        key: The same for every attempt to send it, and of no other parcel of this backend.
        weak: Of a finished run, the tasks that a better prompt is to be searched for.
        attempts: How often the server had it, or could not be given it, without a result.
        reason: Why it was set aside, or not taken the last time.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    backend: str
    run_id: str
    kind: ParcelKind
    case_id: str | None = None
    trace_id: str | None = None
    key: str
    weak: tuple[str, ...] = ()
    state: OutboxState = OutboxState.OWED
    attempts: int = 0
    reason: str | None = None


class BackendState(BaseModel, defer_build=True):
    """How one backend stands.

    Attributes:
        owed, acknowledged, set_aside: How many rows there are of each.
        failures: How often in a row it could not be reached or had no time.
        next_at: Before then, nothing is sent on its own account.
        reason: What its last failure was; None when the last attempt went well.
        refused: Why the newest rows were set aside, each reason once.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    owed: int = 0
    acknowledged: int = 0
    set_aside: int = 0
    failures: int = 0
    next_at: datetime | None = None
    reason: str | None = None
    refused: tuple[str, ...] = ()
