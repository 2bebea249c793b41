"""Kayba: the JSON of traces, insights drawn from them, triage, and prompts made of what was accepted.

Keys are camelCase, times ISO 8601 with Z. The models know what the platform documents. Answers may
hold more, which clients pass on.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ... import models
from ...models import PromptVersion
from .. import RequestModel, Whole, WireList, WireModel

FileType = Literal["md", "json", "txt"]
JobState = Literal["queued", "running", "succeeded", "failed"]

#: Their words for the state of a job, and ours.
JOB_STATES: dict[str, JobState] = {
    "queued": "queued",
    "running": "running",
    "completed": "succeeded",
    "failed": "failed",
}


class TraceMeta(WireModel):
    """A trace file without its content; ``size`` in bytes."""

    id: str
    filename: str
    file_type: str = Field(alias="fileType")
    size: int
    uploaded_at: str = Field(alias="uploadedAt")


class TraceFile(TraceMeta):
    """A trace file."""

    content: str


class TraceMetas(WireModel):
    """``GET /traces``."""

    traces: list[TraceMeta]


class TraceFiles(WireModel):
    """The answer to ``POST /traces/batch``."""

    traces: list[TraceFile]


class NewTrace(RequestModel):
    """A trace file to upload."""

    filename: Annotated[str, Field(min_length=1)]
    content: str
    file_type: FileType = Field(alias="fileType")


class UploadRequest(RequestModel):
    """``POST /traces``."""

    traces: list[NewTrace]


class Uploaded(WireModel):
    """The answer to it."""

    count: int
    traces: list[TraceMeta]


class BatchRequest(RequestModel):
    """``POST /traces/batch``."""

    ids: list[str]


class Empty(WireModel):
    """``{}``, which also stands for an answer without a body."""


class DeleteError(WireModel):
    """A trace that was not deleted, and why."""

    id: str
    error: str


class Deleted(WireModel):
    """What came of deleting several traces; each is a call of its own."""

    deleted: list[str]
    errors: list[DeleteError]


class GenerateInsights(RequestModel):
    """``POST /insights/generate``; all optional.

    Attributes:
        trace_ids: The traces to draw from; absent: all.
        reflector_mode: ``recursive`` or ``standard``.
    """

    trace_ids: list[str] | None = Field(default=None, alias="traceIds")
    model: str | None = None
    epochs: Annotated[int, Field(ge=1), Whole] | None = None
    reflector_mode: Literal["recursive", "standard"] | None = Field(default=None, alias="reflectorMode")
    anthropic_api_key: str | None = Field(default=None, alias="anthropicApiKey", repr=False)


class JobStarted(WireModel):
    """The answer to it; the work goes on in the background."""

    job_id: str = Field(alias="jobId")


class Insight(WireModel):
    """A lesson drawn from traces.

    Attributes:
        status: ``pending`` (also called ``new``), ``accepted`` or ``rejected``.
    """

    id: str
    section: str | None = None
    content: str
    status: str
    evidence: Any = None
    justification: str | None = None
    confidence: float | str | None = None
    helpful: int | None = None
    harmful: int | None = None
    note: str | None = None


class Insights(WireModel):
    """``GET /insights``."""

    insights: list[Insight]


class Triage(RequestModel):
    """``PATCH /insights/:id``."""

    status: Literal["accepted", "rejected"]
    note: str | None = None


class JobResult(WireModel):
    """What a job that completed has made; one of another kind has other keys."""

    model_config = ConfigDict(extra="allow")

    skills_generated: int | None = Field(default=None, alias="skillsGenerated")
    summary: Any = None
    materialized: bool | None = None


class Job(WireModel):
    """``GET /jobs/:id``; keys without a value are absent. Those from ``created_at`` on only ours has.

    Attributes:
        status: ``completed`` and ``failed`` are final.
        step: What it is doing, in a few words.
        spend: What it has used: ``{"rollouts", "calls", "usd"}``.
    """

    leave_out = "none"

    job_id: str = Field(alias="jobId")
    status: str
    started_at: str | None = Field(default=None, alias="startedAt")
    completed_at: str | None = Field(default=None, alias="completedAt")
    error: str | None = None
    result: JobResult | None = None
    created_at: str | None = Field(default=None, alias="createdAt")
    kind: str | None = None
    task: str | None = None
    step: str | None = None
    spend: dict[str, Any] | None = None

    @classmethod
    def of(cls, job: models.Job) -> Self:
        """Show a job of ours; what it stands at and why it failed is in our words."""
        values = job.model_dump(mode="json")
        return cls(
            job_id=job.id,
            started_at=values["started_at"],
            completed_at=values["finished_at"],
            result=JobResult.model_validate(job.result) if job.result else None,
            **{
                key: values[key] for key in ("status", "error", "created_at", "kind", "task", "step", "spend")
            },
        )

    @property
    def state(self) -> JobState:
        """The status in our words; one that we do not know counts as running."""
        return JOB_STATES.get(self.status, "running")


class Jobs(WireList[Job]):
    """``GET /jobs``, which only ours has: a bare array, newest first."""

    leave_out = "none"


class Materialized(WireModel):
    """The answer to ``POST /jobs/:id``."""

    job_id: str = Field(alias="jobId")
    skills_generated: int = Field(alias="skillsGenerated")


class GeneratePrompt(RequestModel):
    """``POST /prompts/generate``; without ``insight_ids``, from all accepted insights."""

    insight_ids: list[str] | None = Field(default=None, alias="insightIds")
    label: str | None = None


class PromptContent(WireModel):
    """The text of a prompt."""

    text: str


class GeneratedPrompt(WireModel):
    """The answer to it."""

    leave_out = "none"

    prompt_id: str = Field(alias="promptId")
    version: int
    label: str | None = None
    content: PromptContent


class PromptMeta(WireModel):
    """A prompt without its text."""

    id: str
    version: int
    label: str | None = None


class Prompts(WireList[PromptMeta]):
    """``GET /prompts``: a bare array, newest first; ``{"prompts": […]}`` is read too."""

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: Any) -> Any:
        return value["prompts"] if isinstance(value, dict) and "prompts" in value else value


class Prompt(PromptMeta):
    """``GET /prompts/:id``."""

    content: PromptContent

    def to_version(self, task: str) -> PromptVersion:
        """Return the prompt version of a task of ours that this is."""
        return PromptVersion(
            task=task,
            version=self.version,
            sha256=hashlib.sha256(self.content.text.encode()).hexdigest(),
            text=self.content.text,
            source="insights",
            note=self.label,
        )


class MlflowConfig(RequestModel):
    """``PUT /integrations/mlflow``.

    Attributes:
        auth_type: ``none``, ``basic``, ``bearer`` or ``databricks``.
    """

    model_config = ConfigDict(extra="allow")

    enabled: bool | None = None
    tracking_uri: str | None = Field(default=None, alias="trackingUri")
    auth_type: Literal["none", "basic", "bearer", "databricks"] | None = Field(default=None, alias="authType")
    token: str | None = Field(default=None, repr=False)
    username: str | None = None
    experiment_name: str | None = Field(default=None, alias="experimentName")


class LangsmithConfig(RequestModel):
    """``PUT /integrations/langsmith``."""

    model_config = ConfigDict(extra="allow")

    enabled: bool | None = None
    api_url: str | None = Field(default=None, alias="apiUrl")
    api_key: str | None = Field(default=None, alias="apiKey", repr=False)
    project_name: str | None = Field(default=None, alias="projectName")


class Integrations(WireModel):
    """``GET /integrations``; the secrets in it are masked."""

    leave_out = "none"

    mlflow: MlflowConfig = Field(default_factory=MlflowConfig)
    langsmith: LangsmithConfig = Field(default_factory=LangsmithConfig)


class IntegrationTest(WireModel):
    """The answer to ``POST /integrations/:name/test``."""

    leave_out = "none"

    connected: bool
    error: str | None = None
    mlflow_version: str | None = Field(default=None, alias="mlflowVersion")
    experiment_count: int | None = Field(default=None, alias="experimentCount")


class ImportRequest(RequestModel):
    """``POST /integrations/:name/import``, which is ours; the answer is ``JobStarted``.

    Attributes:
        project: Its name or id; the one that is set where it is absent.
        since: Only traces begun since then; a time in ISO 8601, in UTC without a zone.
        limit: At most so many, the newest.
    """

    project: str | None = None
    since: datetime | None = None
    limit: int | None = Field(default=None, ge=1)


class SourceProject(WireModel):
    """What holds traces elsewhere: an experiment of MLflow, a project."""

    id: str
    name: str


class SourceProjects(WireModel):
    """``GET /integrations/:name/projects``, which is ours."""

    projects: list[SourceProject]
