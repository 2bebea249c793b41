"""What programs outside of a suite do: agents and their runs, groups of traces, tasks and their feedback."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: The source of an entry that somebody wrote as an example. It starts no search.
SEED = "seed"
#: The source of an entry whose score a judge gave, which is no evidence about a judge.
AUTO_EVAL = "auto_eval"
#: The name of an input that is no mapping.
UNNAMED = "input"


class AgentRunStatus(StrEnum):
    """Where a run stands; a completed or failed one stays so."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Agent(BaseModel, defer_build=True):
    """A program of which runs are reported.

    Attributes:
        id: A UUID, or any text of letters, digits, ``-`` and ``_`` that a program chose.
        domain: What it is about, in a word.
        objective: What it is to do.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str = Field(min_length=1)
    domain: str = "general"
    objective: str | None = None
    created_at: datetime
    updated_at: datetime


class AgentRun(BaseModel, defer_build=True):
    """One run of an agent; its spans are those of the trace that has its id.

    Attributes:
        id: A UUID, with its hyphens.
        trigger: ``manual``, ``automatic`` or ``test``.
        overall_score: What an evaluation gave it; None until there is one.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    agent_id: str
    status: AgentRunStatus = AgentRunStatus.RUNNING
    trigger: str
    overall_score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    created_at: datetime
    completed_at: datetime | None = None

    @property
    def trace_id(self) -> str:
        """The id of the trace that it is: its UUID without hyphens, as OpenTelemetry has ids."""
        return self.id.replace("-", "")


class Experiment(BaseModel, defer_build=True):
    """A named group of traces.

    Attributes:
        correlation_ids: Those of its traces, whether they have arrived or not.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str
    correlation_ids: list[str]
    created_at: datetime


class Behavior(BaseModel, defer_build=True):
    """Something that a trace may show.

    Attributes:
        label: Its name.
        description: What it is, in plain language.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    label: str
    description: str
    created_at: datetime


class Annotation(BaseModel, defer_build=True):
    """A statement that a trace shows a behaviour.

    Attributes:
        confidence: In [0, 1].
        source: Who says so: a person, or a model that looked.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str
    label: str
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    notes: str | None = None
    source: Literal["human", "detected"] = "human"
    created_at: datetime


class Task(BaseModel, defer_build=True):
    """A task of which the store has logged feedback.

    Attributes:
        id: A UUID.
        name: What the rest of the package calls it: the folder of its prompts, ``tasks.<name>`` in
            ``kaizen.yaml``.
        input_schema: A JSON schema of its inputs; on the wire it is ``schema_json``.
        feedback_threshold: Entries after which a search starts by itself.
        feedback_retention_limit: Entries that are kept, seeds not counted; None keeps all. A threshold
            above it is never reached, as those want who start searches themselves.
        evaluator_config: What scores an output: ``{"type": "judge" | "exact_match" | "custom_fn" |
            "composite", …}``; None is ``judge``, by the task's rubric.
        target_model: The model that answers under the task's prompt.
        teacher_model: The model that reflects.
        judge_model: The model that judges.
        module_type: ``predict`` or ``chain_of_thought``.
        optimizer_type: ``gepa`` or ``miprov2``.
        cost_budget: What a search may cost, in US dollars.
        git_provider: ``github``, ``gitlab`` or ``bitbucket_server``.
        prompt_path: The file of the prompt in the task's repository.
        prompt_format: ``json``, ``text``, ``yaml`` or ``python``.
        prompt_locator: The variable of ``prompt_file`` that holds the prompt.
        feedback_source: ``traces``: a score that a trace gets is feedback. ``sdk``: what is logged is.
        auto_eval: Whether traces without a score are judged.
        mode: ``optimize_only``, ``auto_pr`` or ``pr_preview``.
    """

    model_config = ConfigDict(validate_assignment=True)

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str = Field(min_length=1)
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    feedback_threshold: int = Field(default=50, ge=1)
    feedback_retention_limit: int | None = Field(default=1000, ge=1)
    evaluator_config: dict[str, Any] | None = None
    target_model: str | None = None
    teacher_model: str | None = None
    judge_model: str | None = None
    module_type: str | None = None
    optimizer_type: str | None = None
    gepa_config: dict[str, Any] | None = None
    cost_budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    git_provider: str | None = None
    git_base_url: str | None = None
    git_project: str | None = None
    git_repo: str | None = None
    git_base_branch: str | None = None
    prompt_path: str | None = None
    prompt_format: str | None = None
    prompt_file: str | None = None
    prompt_locator: str | None = None
    feedback_source: Literal["sdk", "traces"] = "sdk"
    auto_eval: bool = False
    mode: str | None = None
    created_at: datetime

    @property
    def fields(self) -> frozenset[str] | None:
        """The names that inputs must have, no fewer and no more; None where any will do."""
        if self.input_schema is None:
            return None
        return frozenset(self.input_schema.get("properties", self.input_schema))


class FeedbackEntry(BaseModel, defer_build=True):
    """One thing that a program did under a task's prompt, and what was thought of it.

    Attributes:
        id: A UUID.
        task_id: The id of the task.
        inputs: What the program was given, by name.
        output: What it answered.
        score: What was thought of it; None for "not scored".
        source: Who says so: ``sdk``, ``user_rating``, ``auto_eval``, ``seed`` or another label.
        trace_id: The trace that it is about.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    task_id: str
    inputs: dict[str, Any] | None = None
    output: str | None = None
    score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    source: str = "sdk"
    metadata: dict[str, Any] | None = None
    trace_id: str | None = None
    created_at: datetime


class FeedbackCount(BaseModel, defer_build=True):
    """How much feedback a task has.

    Attributes:
        total: All entries.
        fresh: Those that count towards the threshold: no seeds, and none that the last search which
            came to its end has seen.
        seeds: Those that somebody wrote as examples.
    """

    total: int
    fresh: int
    seeds: int = 0
