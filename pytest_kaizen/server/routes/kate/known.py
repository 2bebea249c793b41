"""The agent and the run that a path means."""

from __future__ import annotations

from ....models import Agent, AgentRun
from ....store import Store
from ...problem import Refusal
from ..kaizen_ct.ids import as_uuid


def agent_of(store: Store, agent_id: str) -> Agent:
    """Return an agent.

    Raises:
        Refusal: There is none (404).
    """
    agent = store.agents.one(agent_id)
    if agent is None:
        raise Refusal(404, f"there is no agent {agent_id!r}")
    return agent


def run_of(store: Store, agent_id: str, run_id: str) -> AgentRun:
    """Return a run of an agent, by its UUID in whatever form.

    Raises:
        Refusal: There is no such agent, or it has no such run (404).
    """
    agent_of(store, agent_id)
    run = store.agents.run(agent_id, str(as_uuid(run_id)))
    if run is None:
        raise Refusal(404, f"agent {agent_id!r} has no run {run_id!r}")
    return run
