"""For which tasks a better prompt is wanted, and whether money may be spent on it."""

from __future__ import annotations

from collections.abc import Callable

from ..models import CIContext, GateResult, Outcome, Run, TaskSummary
from .plan import NO_TASK

#: What the branches begin with that proposals are put on.
OWN_BRANCHES = "kaizen/optimize/"


def weak_tasks(run: Run, fails: Callable[[GateResult], bool]) -> list[str]:
    """Return the tasks that ran as a whole and of which a gate failed."""
    return [summary.task for summary in run.tasks if _is_weak(summary, fails)]


def why_no_search(ci: CIContext | None) -> str | None:
    """Say why nobody may search for a better prompt here; None when they may."""
    if ci is None:
        return "it is not known where this runs"
    if ci.pull_request is not None and ci.fork is not False:
        return "this pull request may come from a fork"
    if ci.branch is not None and ci.branch.startswith(OWN_BRANCHES):
        return f"the branch {ci.branch} is a proposal itself"
    return None


def _is_weak(summary: TaskSummary, fails: Callable[[GateResult], bool]) -> bool:
    failed = any(fails(result) for result in summary.gates) or Outcome.FAIL in summary.case_gates
    return failed and summary.partial is None and summary.task != NO_TASK
