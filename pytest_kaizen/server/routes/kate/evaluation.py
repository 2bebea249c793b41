"""What is known of the quality of an agent."""

from __future__ import annotations

from datetime import datetime

from ....models import Agent, AgentRun
from ....platforms.kate.wire import EvalSummary
from ....store.agents import RunCounts
from ...operation import Access, Call, Operation
from .known import agent_of


def summary(call: Call, agent_id: str) -> EvalSummary:
    """Sum up the runs of an agent; there is no overall score until a run has been evaluated."""
    agents = call.store.agents
    agent = agent_of(call.store, agent_id)
    scored = agents.last_scored(agent_id)
    last = next(iter(agents.runs(agent_id, limit=1)), None)
    return EvalSummary(
        intelligence_summary=_told(agents.count_runs(agent_id)),
        updated_at=_updated(agent, last),
        overall_score=None if scored is None else scored.overall_score,
    )


def _told(counts: RunCounts) -> str:
    total = sum(counts.by_status.values())
    if not total:
        return "No runs yet."
    states = ", ".join(f"{count} {status}" for status, count in counts.by_status.items())
    evaluated = f"{counts.scored} evaluated" if counts.scored else "none evaluated"
    return f"{total} {'run' if total == 1 else 'runs'}: {states}; {evaluated}."


def _updated(agent: Agent, last: AgentRun | None) -> datetime:
    return agent.updated_at if last is None else last.completed_at or last.created_at


OPERATIONS = (Operation("GET", "/agents/{agent_id}/eval/summary", Access.READ, summary, errors=(404,)),)
