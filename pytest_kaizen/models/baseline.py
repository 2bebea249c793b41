"""Baselines: the scores that a later run must not fall below, and what changed since."""

from __future__ import annotations

import datetime

from pydantic import BaseModel, ConfigDict, Field


class MetricMean(BaseModel, defer_build=True):
    """The mean of a metric over the samples of one case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = Field(ge=0, le=1, allow_inf_nan=False)
    samples: int = Field(ge=1)


class UsedPrompt(BaseModel, defer_build=True):
    """A version of the task's prompt that its cases used, with the SHA-256 of its text in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    sha256: str


class TaskBaseline(BaseModel, defer_build=True):
    """What a run found of one task, as far as a later run is compared with it.

    Attributes:
        created: The day of the run.
        revision: The commit; None outside git.
        models: The models that answered the cases' own calls, sorted.
        judges: The models that judged, sorted.
        rubrics: The SHA-256 of each rubric's content, by its name.
        cases: By case id, the mean of each score by metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: datetime.date
    revision: str | None = None
    prompts: tuple[UsedPrompt, ...] = ()
    models: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    rubrics: dict[str, str] = Field(default_factory=dict)
    cases: dict[str, dict[str, MetricMean]] = Field(default_factory=dict)


class Fall(BaseModel, defer_build=True):
    """A score that is lower than in the baseline, of a case or of a criterion."""

    name: str
    before: float
    now: float


class TaskChanges(BaseModel, defer_build=True):
    """What is different from the baseline.

    Attributes:
        since: The baseline, in words: its file or run.
        paired: Cases that stand in both.
        score: Mean ``score`` over these cases, then and now; None when none has it in both.
        cases: The cases whose ``score`` fell most, the greatest fall first.
        criteria: The scores by criterion or check that fell most in the mean over cases, likewise.
        facts: What else differs: (what, before, now), for example ``("model", "a", "b")``.
        prompt_diff: The lines of a unified diff of the prompt's texts, cut to a readable number.
        new: Cases that the baseline does not hold.
        removed: Cases that only the baseline holds.
    """

    since: str
    paired: int
    score: Fall | None = None
    cases: list[Fall] = Field(default_factory=list)
    criteria: list[Fall] = Field(default_factory=list)
    facts: list[tuple[str, str, str]] = Field(default_factory=list)
    prompt_diff: list[str] = Field(default_factory=list)
    new: list[str] = Field(default_factory=list)
    removed: list[str] = Field(default_factory=list)
