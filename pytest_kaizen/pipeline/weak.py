"""For which tasks a better prompt is wanted, and whether money may be spent on it."""

from __future__ import annotations

from collections.abc import Callable

from ..models import GateResult, Outcome, Run, TaskSummary
from .plan import NO_TASK


def weak_tasks(run: Run, fails: Callable[[GateResult], bool]) -> list[str]:
    """Return the tasks that ran as a whole and of which a gate failed."""
    return [summary.task for summary in run.tasks if _is_weak(summary, fails)]


def from_our_own(run: Run) -> bool:
    """Whether this is certainly no pull request from a fork, which must not spend our money."""
    return run.ci is not None and (run.ci.pull_request is None or run.ci.fork is False)


def _is_weak(summary: TaskSummary, fails: Callable[[GateResult], bool]) -> bool:
    failed = any(fails(result) for result in summary.gates) or Outcome.FAIL in summary.case_gates
    return failed and summary.partial is None and summary.task != NO_TASK
