"""Agents and their runs in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytest_kaizen.models import Agent, AgentRun, AgentRunStatus, Score, ScoreSource
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def an_agent(name: str = "bot", **fields: Any) -> Agent:
    return Agent(**{"name": name, "created_at": NOW, "updated_at": NOW, **fields})


def a_run(agent: Agent, **fields: Any) -> AgentRun:
    return AgentRun(**{"agent_id": agent.id, "trigger": "manual", "created_at": NOW, **fields})


def test_agents(store: Store) -> None:
    first, second = an_agent(objective="Grüße"), an_agent("other", id="other-1")
    assert [store.agents.add(agent) for agent in (first, second)] == [True, True]
    assert not store.agents.add(an_agent("third", id="other-1"))
    assert store.agents.newest() == [second, first]
    changed = first.model_copy(update={"name": "new"})
    assert store.agents.update(changed)
    assert store.agents.one(first.id) == changed
    assert not store.agents.update(an_agent(id="nobody"))
    assert store.agents.one("nobody") is None


def test_runs_are_listed_by_agent_page_by_page(store: Store) -> None:
    agent, other = an_agent(), an_agent()
    for known in (agent, other):
        store.agents.add(known)
    runs = [a_run(agent) for _ in range(3)]
    foreign = a_run(other)
    for run in (*runs, foreign):
        assert store.agents.add_run(run)
    assert not store.agents.add_run(a_run(other, id=runs[0].id))
    assert store.agents.runs(agent.id) == runs[::-1]
    assert store.agents.runs(agent.id, limit=1, offset=1) == [runs[1]]
    assert store.agents.run(agent.id, runs[0].id) == runs[0]
    assert store.agents.run(other.id, runs[0].id) is None


def test_what_became_of_a_run(store: Store) -> None:
    agent = an_agent()
    store.agents.add(agent)
    first, second, third = (a_run(agent) for _ in range(3))
    for run in (first, second, third):
        store.agents.add_run(run)
    assert store.agents.scores(agent.id, 5) == []
    done = {"status": AgentRunStatus.COMPLETED, "completed_at": NOW}
    for run, score in ((first, 0.25), (second, 0.5)):
        assert store.agents.update_run(run.model_copy(update={**done, "overall_score": score}))
    assert not store.agents.update_run(a_run(agent))
    assert store.agents.scores(agent.id, 5) == [0.5, 0.25]
    assert store.agents.scores(agent.id, 1) == [0.5]
    counts = store.agents.count_runs(agent.id)
    assert counts.by_status == {AgentRunStatus.COMPLETED: 2, AgentRunStatus.RUNNING: 1}
    assert counts.scored == 2


def test_an_evaluation_counts_once(store: Store, make: Any) -> None:
    agent = an_agent()
    store.agents.add(agent)
    run, other = a_run(agent), a_run(agent)
    for known in (run, other):
        store.agents.add_run(known)
    store.shelf.add([make.trace(id="t", scores=[])])
    given = [Score(name=name, value=0.5, source=ScoreSource.JUDGE) for name in ("r.a", "r")]
    assert store.agents.evaluated(run.id, 0.5, "t", given)
    assert not store.agents.evaluated(run.id, 0.75, "t", given)
    assert not store.agents.evaluated("nobody", 0.75, "t", given)
    assert store.agents.evaluated(other.id, 0.25, "gone", given)
    assert store.agents.scores(agent.id, 5) == [0.25, 0.5]
    trace = store.intake.one("t")
    assert trace is not None
    assert [score.name for score in trace.scores] == ["r.a", "r"]


def test_an_agent_is_deleted_with_its_runs(store: Store) -> None:
    agent, other = an_agent(), an_agent()
    for known in (agent, other):
        store.agents.add(known)
        store.agents.add_run(a_run(known))
    assert store.agents.delete(agent.id)
    assert not store.agents.delete(agent.id)
    assert store.agents.runs(agent.id) == []
    assert store.agents.count_runs(agent.id) == ({}, 0)
    assert len(store.agents.runs(other.id)) == 1
    assert store.agents.newest() == [other]
