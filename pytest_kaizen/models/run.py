"""Runs: where they take place, their cases and samples, the prompts they use, what they are compared with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .gate import GateResult, Interval
from .trace import Trace

CIProvider = Literal["github", "gitlab", "jenkins", "buildkite", "circleci", "local"]

PromptSource = Literal["file", "optimizer", "insights", "platform"]


class CIContext(BaseModel, defer_build=True):
    """What the CI system and git say about a run; None where they say nothing.

    Attributes:
        revision: The commit; of a pull request its own head, not the merge that CI makes of it.
        branch: The branch; of a pull request the one it comes from.
        pull_request: Its number, as text.
        fork: Whether the pull request comes from another repository. None when there is no pull
            request, or when it cannot be told: then nobody may take it for one of our own.
        dirty: Whether the checkout differs from its commit; ``.kaizen`` does not count.
        run_url: The page of the run at the CI system.
    """

    model_config = ConfigDict(frozen=True)

    provider: CIProvider
    revision: str | None = None
    branch: str | None = None
    pull_request: str | None = None
    fork: bool | None = None
    dirty: bool | None = None
    run_url: str | None = None


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

    created: date
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


class PromptVersion(BaseModel, defer_build=True):
    """One text of a task's prompt; immutable once it is recorded.

    Attributes:
        version: Its number, counted from 1 within the task.
        sha256: Of the text in UTF-8, in hex.
        eval_score: The mean score it got when it was evaluated, in [0, 1].
        model: The model it was written for, as its front matter says.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    version: int
    sha256: str
    text: str
    source: PromptSource = "file"
    parent: int | None = None
    eval_score: float | None = None
    created_at: datetime | None = None
    model: str | None = None
    variables: tuple[str, ...] | None = None
    note: str | None = None

    @property
    def id(self) -> str:
        """The id by which it is called: ``TASK@N``."""
        return f"{self.task}@{self.version}"


class Sample(BaseModel):
    """One execution of a case's body.

    Attributes:
        trace: What it did.
        passed: The body ended without an exception and every check passed; None when a check
            broke, so that nobody knows.
        error: The exception of the body, as one line.
        metrics: Its values by metric: scores by name, ``score``, ``pass_rate``, ``cost_usd``
            and the other budgets. A metric that could not be had is absent.
        missing: Why a metric is absent, by its name.
        prompts: The prompt versions it fetched: task → (version, sha256).
        rubrics: The SHA-256 of the rubrics that it was judged by, by name.
    """

    trace: Trace
    passed: bool | None = None
    error: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    missing: dict[str, str] = Field(default_factory=dict)
    prompts: dict[str, tuple[int, str]] = Field(default_factory=dict)
    rubrics: dict[str, str] = Field(default_factory=dict)


class Case(BaseModel):
    """One test item that exercised a task, with its samples and verdicts.

    Attributes:
        id: pytest's node id.
        outcome: ``passed``, ``failed``, ``skipped`` or ``error``, as pytest reported it.
        complete: It ran to its end (a skipped or interrupted one did not).
    """

    id: str
    run_id: str
    task: str
    outcome: str = "passed"
    complete: bool = True
    samples: list[Sample] = Field(default_factory=list)
    gates: list[GateResult] = Field(default_factory=list)


class TaskSummary(BaseModel, defer_build=True):
    """One task's line in the report.

    Attributes:
        cases: Cases that ran to their end.
        collected: Cases of the task in the whole suite, as far as it was collected.
        score: Mean over cases of their mean score (each case counts alike).
        prompts: The versions used, as text (``v2``, ``v1, v2``).
        latency_ms: Percentiles 50 and 95 over LLM calls.
        unpriced: Calls whose cost is not known.
        case_gates: How many gates on single cases came to each outcome, by its name.
        gates: The gates on the whole task.
        partial: Why these are not all the cases of the task; None when they are.
        changes: What is different from the baseline; None without one.
    """

    task: str
    cases: int
    collected: int
    samples: int
    score: float | None = None
    score_interval: Interval | None = None
    pass_rate: float | None = None
    prompts: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    unpriced: int = 0
    judge_calls: int = 0
    judge_cost_usd: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    case_gates: dict[str, int] = Field(default_factory=dict)
    gates: list[GateResult] = Field(default_factory=list)
    partial: str | None = None
    changes: TaskChanges | None = None


class Run(BaseModel, defer_build=True):
    """One session.

    Attributes:
        kind: ``tests`` for a pytest session; ``traces`` for what one process recorded outside pytest.
        status: ``running`` until the session ended; a run that was killed stays so.
        revision: The commit; None outside git.
        config: The options in force.
        ci: What the CI system and git say about it; None where nobody asked.
    """

    id: str
    kind: Literal["tests", "traces"] = "tests"
    created_at: datetime
    finished_at: datetime | None = None
    status: str = "running"
    exit_status: int | None = None
    revision: str | None = None
    branch: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    ci: CIContext | None = None
    tasks: list[TaskSummary] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
