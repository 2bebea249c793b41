"""Evaluation of agents' runs: what is judged by what, when, and when runs have become worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import AgentConfig, Config, load_config
from pytest_kaizen.errors import LLMError, RubricError, ScoreError, UsageError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import Agent, AgentRun, Job, JobStatus, Outcome, Trace
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.observing import evaluate, fall_of, start_evaluation
from pytest_kaizen.store import Store

NOW = datetime.now(UTC)
RUBRIC = """\
name: bot
criteria:
  - {name: kind, description: It is kind., scale: [1, 5], weight: 0.5}
  - {name: short, check: {max_length: 20}, weight: 0.5}
"""


class Model:
    """Gives every criterion this answer."""

    def __init__(self, score: Any, reason: str = "not quite") -> None:
        self._score = score
        self._reason = reason
        self.asked: list[LLMRequest] = []

    def complete(self, request: LLMRequest) -> Completion:
        self.asked.append(request)
        if isinstance(self._score, Exception):
            raise self._score
        names = (request.schema or {})["properties"]
        data = {name: {"reason": self._reason, "score": self._score} for name in names}
        return Completion(text="", model=request.model, data=data, cost_usd=0.01)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store) as opened:
        yield opened


def an_agent(store: Store, **fields: Any) -> Agent:
    agent = Agent(**{"id": "bot", "name": "Bot", "created_at": NOW, "updated_at": NOW, **fields})
    store.agents.add(agent)
    return agent


def a_run(store: Store, agent: Agent, output: str | None = "Hello you") -> tuple[AgentRun, Trace]:
    run = AgentRun(agent_id=agent.id, trigger="test", created_at=NOW)
    store.agents.add_run(run)
    trace = Trace(id=run.trace_id, name="Bot", created_at=NOW, input="Hi", output=output)
    store.intake.put([trace])
    return run, trace


def due(
    config: Config, store: Store, agent: Agent, *, after_s: float = 0, output: str | None = "o"
) -> Job | None:
    run, trace = a_run(store, agent, output)
    return start_evaluation(config, store, agent, run, trace, datetime.now(UTC) + timedelta(seconds=after_s))


def done(config: Config, store: Store, agent: Agent, model: Model) -> tuple[AgentRun | None, Job]:
    run, trace = a_run(store, agent)
    job = start_evaluation(config, store, agent, run, trace, datetime.now(UTC) + timedelta(days=1))
    assert job is not None
    evaluate(config, store, jobs.claim(store, job.id), model, lambda _: None)
    return store.agents.run(agent.id, run.id), store.jobs.one(job.id)


def declared(config: Config, **fields: Any) -> Config:
    return replace(config, agents={"bot": AgentConfig(**fields)})


def test_by_the_objective_where_there_is_no_rubric(config: Config, store: Store) -> None:
    model = Model(4)
    run, job = done(config, store, an_agent(store, objective="Greet people."), model)
    assert run is not None
    assert run.overall_score == 0.75
    assert job.result == {"overall_score": 0.75, "recommendations": ["objective 0.75: not quite"]}
    assert (job.status, job.spend.calls) == (JobStatus.COMPLETED, 1)
    (request,) = model.asked
    assert "what the agent is for: Greet people." in request.prompt
    assert "Hello you" in request.prompt
    assert request.model == "claude-haiku-4-5"
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert [(score.name, score.value) for score in trace.scores] == [
        ("evaluation.objective", 0.75),
        ("evaluation", 0.75),
    ]


def test_by_the_rubric_and_judge_that_the_operator_declared(config: Config, store: Store) -> None:
    (config.root / "bot.yaml").write_text(RUBRIC, encoding="utf-8")
    config = declared(config, rubric="bot.yaml", judge="claude-sonnet-4-5")
    model = Model(1, "It is \x1b[31mrude.")
    run, job = done(config, store, an_agent(store), model)
    assert run is not None
    assert run.overall_score == 0.5
    assert job.result["recommendations"] == ["kind 0.00: It is \\x1b[31mrude."]
    assert model.asked[0].model == "claude-sonnet-4-5"


def test_what_is_not_evaluated(config: Config, store: Store) -> None:
    nobody_says = an_agent(store, id="silent")
    assert due(config, store, nobody_says) is None
    agent = an_agent(store, objective="Greet people.")
    assert due(config, store, agent, output=None) is None
    run, _ = a_run(store, agent)
    assert start_evaluation(config, store, agent, run, None, NOW) is None


def test_the_cooldown(config: Config, store: Store) -> None:
    config = declared(config, cooldown_s=100)
    agent = an_agent(store, objective="Greet people.")
    first = due(config, store, agent)
    assert first is not None
    # Not while it is under way, however long that takes.
    assert due(config, store, agent, after_s=1000) is None
    with jobs.running(store, jobs.claim(store, first.id)):
        assert due(config, store, agent, after_s=1000) is None
    assert due(config, store, agent, after_s=90) is None
    assert due(config, store, agent, after_s=101) is not None


def test_an_evaluation_that_another_process_begins_meanwhile(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = an_agent(store, objective="Greet people.")
    assert due(config, store, agent) is not None
    monkeypatch.setattr(store.jobs, "newest", lambda *_, **__: [])
    assert due(config, store, agent) is None


@pytest.mark.parametrize("answer", [None, 0, 6, True, "5", LLMError("the model is down")])
def test_what_cannot_be_scored_is_an_error_and_no_score(config: Config, store: Store, answer: Any) -> None:
    agent = an_agent(store, objective="Greet people.")
    with pytest.raises(ScoreError, match=r"the model is down|no readable answer"):
        done(config, store, agent, Model(answer))
    assert store.agents.scores(agent.id, 9) == []
    (job,) = store.jobs.newest(agent.id)
    assert (job.status, job.result) == (JobStatus.FAILED, {})
    (trace,) = store.intake.page().traces
    assert trace.scores == []


def test_a_rubric_that_is_none_and_an_agent_that_is_gone(config: Config, store: Store) -> None:
    agent = an_agent(store, objective="Greet people.")
    with pytest.raises(RubricError, match=r"nowhere\.yaml"):
        done(declared(config, rubric="nowhere.yaml"), store, agent, Model(5))
    job = due(config, store, agent, after_s=1000)
    assert job is not None
    store.agents.delete(agent.id)
    with pytest.raises(UsageError, match="is not there any more"):
        evaluate(config, store, jobs.claim(store, job.id), Model(5), lambda _: None)


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ([], None),
        ([0.5], None),
        ([0.5, 0.5], Outcome.PASS),
        ([0.44, 0.5], Outcome.FAIL),
        ([0.46, 0.5], Outcome.PASS),
        ([0.9] * 5 + [0.5] * 5, Outcome.PASS),
        ([0.8] * 5 + [0.9] * 20, Outcome.FAIL),
        # One bad run among five good ones is none.
        ([0.7] + [0.9] * 24, Outcome.PASS),
    ],
)
def test_a_fall_is_told_by_the_gate(config: Config, scores: list[float], outcome: Outcome | None) -> None:
    fall = fall_of(config, "bot", scores)
    assert (None if fall is None else fall.outcome) == outcome


def test_a_fall_may_be_as_far_and_as_sure_as_was_said(config: Config) -> None:
    scores = [0.8] * 5 + [0.9] * 20
    fall = fall_of(config, "bot", scores)
    assert fall is not None
    assert fall.sentence == "score fell by 0.10 [-0.06, 0.52] from 0.90, drop <= 0.05: fail over 5 samples"
    wide = fall_of(declared(config, max_drop=0.2), "bot", scores)
    assert wide is not None
    assert wide.outcome is Outcome.PASS
    # Five runs do not prove a fall by 0.1 at 95 %.
    sure = fall_of(replace(config, confidence=0.95), "bot", scores)
    assert sure is not None
    assert sure.outcome is Outcome.UNDECIDED
