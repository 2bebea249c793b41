"""Runs, cases and samples."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from .baseline import TaskChanges
from .ci import CIContext
from .gate import GateResult, Interval
from .trace import Trace


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


class TaskSummary(BaseModel):
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


class Run(BaseModel):
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
