"""What is known of the quality of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ....models import Agent, AgentRun, Job, JobStatus, Outcome
from ....pipeline.evaluations import KIND, fall_of, scores_to_compare
from ....platforms.kate.wire import EvalSummary
from ....store.agents import RunCounts
from ...operation import Access, Call, Operation
from .known import agent_of


def summary(call: Call, agent_id: str) -> EvalSummary:
    """Sum up the runs of an agent; there is no overall score until a run has been evaluated."""
    store = call.store
    agent = agent_of(store, agent_id)
    scores = scores_to_compare(store, agent_id)
    fall = fall_of(call.state.config, agent_id, scores)
    last = next(iter(store.agents.runs(agent_id, limit=1)), None)
    done = store.jobs.newest(agent_id, kind=KIND, status=JobStatus.COMPLETED, limit=1)
    told = _told(store.agents.count_runs(agent_id))
    return EvalSummary(
        intelligence_summary=told
        if fall is None
        else f"{told} The newest runs beside those before: {fall.sentence}.",
        updated_at=_updated(agent, last, done),
        overall_score=scores[0] if scores else None,
        recommendations=done[0].result["recommendations"] if done else [],
        regression_detected=fall is not None and fall.outcome is Outcome.FAIL,
    )


def _told(counts: RunCounts) -> str:
    total = sum(counts.by_status.values())
    if not total:
        return "No runs yet."
    states = ", ".join(f"{count} {status}" for status, count in counts.by_status.items())
    evaluated = f"{counts.scored} evaluated" if counts.scored else "none evaluated"
    return f"{total} {'run' if total == 1 else 'runs'}: {states}; {evaluated}."


def _updated(agent: Agent, last: AgentRun | None, done: Sequence[Job]) -> datetime:
    changed = agent.updated_at if last is None else last.completed_at or last.created_at
    return max([changed, *(job.finished_at for job in done if job.finished_at is not None)])


OPERATIONS = (Operation("GET", "/agents/{agent_id}/eval/summary", Access.READ, summary, errors=(404,)),)
