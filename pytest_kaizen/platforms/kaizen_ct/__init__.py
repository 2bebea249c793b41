"""Kaizen CT: the JSON of its tasks, feedback, prompt versions, optimisation jobs, traces with scores.

Ids are UUIDs and times ISO 8601. Values that may grow (statuses, modes, providers) are plain text
when they are read, so that a newer server does not break an older client.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel, model_validator

from ... import models
from ...models import FeedbackEntry, PromptVersion, Trace
from .. import Milliseconds, RequestModel, Whole, WireList, WireModel, at_least_one
from .task_wire import SeedResult as SeedResult
from .task_wire import Task as Task
from .task_wire import TaskCreate as TaskCreate
from .task_wire import TaskList as TaskList
from .task_wire import TaskSettings, task_settings

#: A score or None for "not scored".
UnitScore = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
JobState = Literal["queued", "running", "succeeded", "failed"]

#: Their words for the state of a job, and ours; ``PR_FAILED`` is a success without a pull request.
JOB_STATES: dict[str, JobState] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "EVALUATING": "running",
    "COMPILING": "running",
    "SUCCESS": "succeeded",
    "PR_FAILED": "succeeded",
    "FAILURE": "failed",
}


class FeedbackCreate(TaskSettings):
    """``POST /api/v1/feedback``, by ``task_id`` or by ``task_name``.

    A name that the server does not know makes a task, with the settings given here.

    Attributes:
        task_id: A UUID; our server takes a name here too.
        source: ``sdk``, ``user_rating``, ``auto_eval`` or ``seed``; any label on our server.
    """

    model_config = ConfigDict(json_schema_extra=at_least_one("task_id", "task_name", min_length=1))

    task_id: str | None = None
    task_name: str | None = None
    inputs: dict[str, Any] | None = None
    output: str | None = None
    score: UnitScore | None = None
    source: str = "sdk"
    metadata: dict[str, Any] | None = None
    existing_prompt_text: str | None = None

    @model_validator(mode="after")
    def _names_a_task(self) -> Self:
        if not self.task_id and not self.task_name:
            raise ValueError("task_id or task_name is required")
        return self

    @classmethod
    def of(cls, trace: Trace, *, task_id: str, score: float | None) -> Self:
        """Make the feedback that a trace stands for; ``metadata.kaizen_id`` is the trace's id.

        Args:
            trace: What was done. An input that is no mapping goes under the one key ``input``.
            task_id: The task, by id or name.
            score: What came of it, in [0, 1]; None for "not scored".
        """
        inputs = trace.input if isinstance(trace.input, dict) else {models.UNNAMED: trace.input}
        output = trace.output if isinstance(trace.output, str | None) else _compact_json(trace.output)
        return cls(
            task_id=task_id,
            inputs=inputs,
            output=output,
            score=score,
            metadata={**trace.metadata, "kaizen_id": trace.id},
        )

    def to_entry(self, task_id: str, created_at: datetime) -> FeedbackEntry:
        """Return the entry of ours that this asks to store.

        Args:
            task_id: The id of the task that it names.
            created_at: The time.
        """
        given = self.model_dump(include={"inputs", "output", "score", "source", "metadata"})
        return FeedbackEntry(task_id=task_id, created_at=created_at, **given)

    def to_task(self, created_at: datetime) -> models.Task:
        """Return the task of ours that a name which is not known yet makes: its fields are the inputs'."""
        schema: dict[str, Any] | None = None
        if self.inputs is not None:
            schema = {"properties": {name: {} for name in self.inputs}}
        return models.Task(
            name=self.task_name or "", input_schema=schema, created_at=created_at, **task_settings(self)
        )


class FeedbackResult(WireModel):
    """One entry of feedback as it was stored; ``metadata`` is ``metadata_`` in JSON."""

    id: UUID
    task_id: UUID
    inputs: dict[str, Any] | None = None
    output: str | None = None
    score: float | None = None
    source: str | None = None
    metadata: dict[str, Any] | None = Field(default=None, alias="metadata_")
    created_at: datetime

    @classmethod
    def of(cls, entry: FeedbackEntry) -> Self:
        """Show an entry of ours."""
        values = entry.model_dump(exclude={"trace_id", "metadata"})
        return cls.model_validate({**values, "metadata_": entry.metadata})


class SeedLine(RequestModel):
    """One line of a file for ``POST /api/v1/tasks/{id}/seed``: an example, which starts no search.

    Attributes:
        output: An answer to compare with, if it has no score or full marks.
    """

    inputs: dict[str, Any]
    output: str | None = None
    score: UnitScore | None = None
    metadata: dict[str, Any] | None = None

    def to_entry(self, task_id: str, created_at: datetime) -> FeedbackEntry:
        """Return the entry of ours that this asks to store; see ``FeedbackCreate``."""
        return FeedbackEntry(task_id=task_id, created_at=created_at, source=models.SEED, **self.model_dump())


class FeedbackList(WireList[FeedbackResult]):
    """``GET /api/v1/feedback``: a bare array."""


class Prompt(WireModel):
    """A version of a task's prompt.

    Attributes:
        status: ``draft``, ``active`` or ``archived``.
    """

    id: UUID
    task_id: UUID
    version_number: int
    prompt_text: str | None = None
    original_prompt: str | None = None
    eval_score: float | None = None
    judge_score: float | None = None
    status: str
    optimizer: str | None = None
    dspy_version: str | None = None
    created_at: datetime

    def to_version(self, task: str) -> PromptVersion | None:
        """Return the prompt version of a task of ours that this is; None when it has no text."""
        if self.prompt_text is None:
            return None
        return PromptVersion(
            task=task,
            version=self.version_number,
            sha256=hashlib.sha256(self.prompt_text.encode()).hexdigest(),
            text=self.prompt_text,
            source="platform",
            eval_score=self.eval_score,
            created_at=self.created_at,
        )


class PromptList(WireList[Prompt]):
    """``GET /api/v1/prompts/{task_id}/versions``: a bare array, newest first."""


class ActivateRequest(RequestModel):
    """``POST /api/v1/prompts/{task_id}/activate``."""

    version_id: str


class Job(WireModel):
    """An optimisation.

    Attributes:
        status: One of ``JOB_STATES``.
        triggered_by: ``api_on_demand``, ``auto_threshold`` and others.
        progress_step: What it is doing, in words.
    """

    id: UUID
    task_id: UUID
    prompt_version_id: UUID | None = None
    status: str
    triggered_by: str | None = None
    feedback_count: int | None = None
    pr_url: str | None = None
    error_message: str | None = None
    job_metadata: dict[str, Any] | None = None
    progress_step: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def state(self) -> JobState:
        """The status in our words; one that we do not know counts as running."""
        return JOB_STATES.get(self.status, "running")


class JobList(WireList[Job]):
    """``GET /api/v1/jobs``: a bare array."""


class CostEstimate(WireModel):
    """What an optimisation will cost, roughly."""

    estimated_cost_usd: float
    estimated_llm_calls: int
    train_size: int
    val_size: int
    max_trials: int
    teacher_model: str
    judge_model: str


class OptimizeResult(WireModel):
    """The answer to ``POST /api/v1/optimize/{task_id}``.

    Attributes:
        budget_warning: Said when the estimate exceeds the task's budget; the job starts all the same.
    """

    job: Job
    cost_estimate: CostEstimate
    budget_warning: str | None = None


class TraceCreate(RequestModel):
    """``POST /api/v1/traces``.

    Attributes:
        task_id: A UUID or, as the SDK's instrumentation sends it, a name.
        source_variable: The variable of ``source_file`` that holds the prompt.
    """

    task_id: str
    prompt_text: str | None = None
    response_text: str | None = None
    model: str | None = None
    tokens: Annotated[int, Whole] | None = None
    latency_ms: Milliseconds | None = None
    source_file: str | None = None
    source_variable: str | None = None
    metadata: dict[str, Any] | None = None


class ScoreRequest(RequestModel):
    """``POST /api/v1/traces/{id}/score``."""

    score: UnitScore
    scored_by: str = "sdk"


class TraceResult(WireModel):
    """A trace as it was stored; ``metadata`` is ``metadata_`` in JSON."""

    id: UUID
    task_id: UUID
    prompt_text: str | None = None
    response_text: str | None = None
    model: str | None = None
    tokens: int | None = None
    latency_ms: float | None = None
    source_file: str | None = None
    source_variable: str | None = None
    score: float | None = None
    scored_by: str | None = None
    metadata: dict[str, Any] | None = Field(default=None, alias="metadata_")
    created_at: datetime


class TraceList(WireList[TraceResult]):
    """``GET /api/v1/traces?task_id=``: a bare array."""


class Empty(WireModel):
    """``{}``, which also stands for an answer without a body."""


class KeyStatus(WireModel):
    """``GET /api/v1/keys/status``, which needs no key."""

    has_keys: bool
    count: int


class KeyCreate(RequestModel):
    """``POST /api/v1/keys``."""

    label: str | None


class KeyInfo(WireModel):
    """A key as lists show it."""

    id: UUID
    label: str
    created_at: datetime


class KeyList(WireList[KeyInfo]):
    """``GET /api/v1/keys``: a bare array."""


class KeyCreated(KeyInfo):
    """A new key; its text is shown this once."""

    key: str = Field(repr=False)


def _compact_json(value: Any) -> str:
    return RootModel[Any](value).model_dump_json()
