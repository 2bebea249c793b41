"""Kaizen CT's JSON of tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from ... import models
from .. import RequestModel, Whole, WireList, WireModel

_OLDER_NAMES = {
    "github_repo": "git_repo",
    "github_base_branch": "git_base_branch",
    "github_token_raw": "git_token_raw",
    "git_token": "git_token_raw",
}


def _is_absent(value: object) -> bool:
    return value is None


class _WithSchema(WireModel):
    """What has a ``schema_json``, a name that pydantic's models have for a method of their own."""

    input_schema: dict[str, Any] | None = Field(default=None, alias="schema_json")

    @property
    def schema_json(self) -> dict[str, Any] | None:  # type: ignore[override]
        """A JSON schema of the task's inputs."""
        return self.input_schema


class Task(_WithSchema):
    """A task as the server shows it.

    Attributes:
        feedback_threshold: Entries after which an optimisation starts by itself.
        evaluator_config: ``{"type": "judge" | "exact_match" | "custom_fn" | "composite", …}``.
        target_model: Who answers under the task's prompt; only ours has it, so the key is absent
            where there is none.
        module_type: ``predict`` or ``chain_of_thought``.
        optimizer_type: ``gepa`` or ``miprov2``.
        git_provider: ``github``, ``gitlab`` or ``bitbucket_server``.
        prompt_format: ``json``, ``text``, ``yaml`` or ``python``.
        feedback_source: ``sdk`` or ``traces``.
        mode: ``optimize_only``, ``auto_pr`` or ``pr_preview``.
        threshold_progress: Entries so far and the threshold: ``12/50``.
    """

    id: UUID
    name: str
    description: str | None = None
    feedback_threshold: int
    feedback_retention_limit: int | None = 1000
    evaluator_config: dict[str, Any] | None = None
    target_model: str | None = Field(default=None, exclude_if=_is_absent)
    teacher_model: str | None = None
    judge_model: str | None = None
    module_type: str | None = None
    optimizer_type: str | None = None
    gepa_config: dict[str, Any] | None = None
    cost_budget: float | None = None
    git_provider: str | None = None
    git_base_url: str | None = None
    git_project: str | None = None
    git_repo: str | None = None
    git_base_branch: str | None = None
    prompt_path: str | None = None
    prompt_format: str | None = None
    prompt_file: str | None = None
    prompt_locator: str | None = None
    feedback_source: str | None = None
    auto_eval: bool | None = None
    mode: str | None = None
    created_at: datetime
    feedback_count: int = 0
    last_optimization: datetime | dict[str, Any] | str | None = None
    active_prompt_score: float | None = None
    threshold_progress: str = "0/50"

    @classmethod
    def of(
        cls,
        task: models.Task,
        count: models.FeedbackCount,
        *,
        last_optimization: datetime | None = None,
        active_prompt_score: float | None = None,
    ) -> Self:
        """Show a task of ours.

        Args:
            task: The task.
            count: How much feedback it has.
            last_optimization: When its last search came to its end.
            active_prompt_score: The evaluation score of its active prompt.
        """
        return cls.model_validate(
            {
                **task.model_dump(exclude={"input_schema"}),
                "schema_json": task.input_schema,
                "feedback_count": count.total,
                "threshold_progress": f"{count.fresh}/{task.feedback_threshold}",
                "last_optimization": last_optimization,
                "active_prompt_score": active_prompt_score,
            }
        )


class TaskList(WireList[Task]):
    """``GET /api/v1/tasks``: a bare array."""


class TaskSettings(RequestModel):
    """What a new task may be given besides its name.

    ``git_token_raw`` is written only: it is stored encrypted and never returned. The older names
    ``github_repo``, ``github_base_branch``, ``github_token_raw`` and ``git_token`` are read too.
    """

    feedback_threshold: Annotated[int, Field(ge=1), Whole] | None = None
    feedback_retention_limit: Annotated[int, Field(ge=1), Whole] | None = None
    evaluator_config: dict[str, Any] | None = None
    target_model: str | None = None
    teacher_model: str | None = None
    judge_model: str | None = None
    module_type: Literal["predict", "chain_of_thought"] | None = None
    optimizer_type: Literal["gepa", "miprov2"] | None = None
    gepa_config: dict[str, Any] | None = None
    cost_budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    git_provider: Literal["github", "gitlab", "bitbucket_server"] | None = None
    # No user, password, query or fragment: it is shown, and stands in messages.
    git_base_url: Annotated[str, Field(pattern=r"^[^@?#]*$")] | None = None
    git_project: str | None = None
    git_repo: str | None = None
    git_base_branch: str | None = None
    git_token_raw: str | None = Field(default=None, repr=False)
    prompt_path: str | None = None
    prompt_format: Literal["json", "text", "yaml", "python"] | None = None
    prompt_file: str | None = None
    prompt_locator: str | None = None
    feedback_source: Literal["sdk", "traces"] | None = None
    auto_eval: bool | None = None
    mode: Literal["optimize_only", "auto_pr", "pr_preview"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _rename_older_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        renamed = {_OLDER_NAMES.get(key, key): value for key, value in values.items()}
        return {**renamed, **{key: values[key] for key in _OLDER_NAMES.values() if key in values}}


class TaskCreate(TaskSettings, _WithSchema):
    """``POST /api/v1/tasks``; fields that are not named here go through as they are."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1)]
    description: str | None = None

    def to_task(self, created_at: datetime) -> models.Task:
        """Return the task of ours that is to be created.

        ``git_token_raw`` is not in it: whoever stores it encrypts it first.

        Raises:
            ValueError: A value that a task cannot have, such as a retention limit below the threshold.
        """
        return models.Task(
            name=self.name,
            description=self.description,
            input_schema=self.input_schema,
            created_at=created_at,
            **task_settings(self),
        )


def task_settings(given: TaskSettings) -> dict[str, Any]:
    """Return the settings of a task of ours that a request gives; those it leaves out have defaults."""
    return given.model_dump(exclude_none=True, include=set(TaskSettings.model_fields) - {"git_token_raw"})


class SeedResult(WireModel):
    """The answer to a JSONL file of feedback, ``POST /api/v1/tasks/{id}/seed``."""

    accepted: int
    rejected: int
    errors: list[Any] = Field(default_factory=list)
    total_seeds: int
    seed_limit: int
