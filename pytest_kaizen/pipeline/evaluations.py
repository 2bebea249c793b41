"""Evaluation of the runs of agents: what is evaluated when, by what, and whether runs have become worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ..config import Config
from ..errors import JobError, ScoreError, UsageError
from ..gate import case_drop_gate
from ..llm import LLM
from ..models import Agent, AgentRun, GateResult, GateSpec, Job, JobStatus, Outcome, Scope, Score, Trace
from ..platforms.kate import EvalSummary
from ..report.plain import plain
from ..score import Judge, Rubric, load_rubric, score_rubric
from ..store import Store
from ..store.observing import RunCounts
from . import jobs
from .calibrations import Calibrations
from .feedback import parsed_rubric
from .observing import Asking

#: What one evaluation may cost.
BUDGET_USD = 1.0
#: The newest runs, and those before that they are compared with.
_NEWEST, _BEFORE = 5, 50
_MOST_RECOMMENDATIONS = 5


def start_evaluation(
    config: Config, store: Store, agent: Agent, run: AgentRun, trace: Trace | None, now: datetime
) -> Job | None:
    """Store a job that evaluates a run, if there is something to judge, and something to judge it by.

    Returns:
        The job; None without an output, without a rubric or an objective, while another run of the agent
        is evaluated, and until its cooldown is over.
    """
    settings = config.agent(agent.id)
    if trace is None or trace.output is None or not (settings.rubric or agent.objective):
        return None
    for last in store.jobs.newest(agent.id, kind=jobs.EVALUATION, limit=1):
        if not last.status.final or now - last.created_at < timedelta(seconds=settings.cooldown_s):
            return None
    try:
        return jobs.create(store, jobs.EVALUATION, agent.id, {"run": run.id, "trace": trace.id}, "api")
    except JobError:
        # Another process has begun one since.
        return None


def evaluate(config: Config, store: Store, job: Job, llm: LLM, on_step: Callable[[Job], None]) -> None:
    """Do a claimed evaluation: the run gets its score, its trace the scores of every criterion.

    A run that has a score keeps it. The job's result has ``overall_score`` and ``recommendations``.

    Raises:
        JobError: It was stopped, or another process has it.
        RubricError: The agent's rubric cannot be read.
        ScoreError: The run cannot be scored: the judge failed, or its answer could not be read.
        UsageError: The agent, the run or its trace is gone.
    """
    with jobs.running(store, job):
        agent, run = store.agents.one(job.task), store.agents.run(job.task, job.settings["run"])
        trace = store.intake.one(job.settings["trace"])
        if agent is None or run is None or trace is None:
            raise UsageError("the agent, the run or its trace is not there any more")
        asking = Asking(config, store, job, llm, BUDGET_USD, on_step)
        rubric = rubric_of(config, agent)
        model = config.agent(agent.id).judge or config.judge.model
        judging = config.judge.model_copy(update={"model": model})
        judge = Judge(
            asking.llm,
            judging.model,
            judging.max_tokens,
            votes=judging.votes,
            cache=asking.cache,
            refusal=Calibrations(store, judging).refusal,
        )
        asking.say(f"judging by {rubric.name}")
        scores = score_rubric(
            rubric, input=trace.input, output=trace.output, reference=trace.reference, judge=judge
        )
        total = scores[-1]
        if total.value is None:
            raise ScoreError(total.error or "there is no score")
        store.agents.evaluated(run.id, total.value, trace.id, scores)
        job.result = {"overall_score": total.value, "recommendations": _recommendations(scores[:-1])}


def rubric_of(config: Config, agent: Agent) -> Rubric:
    """Return what the runs of an agent are judged by: its rubric, else one question about its objective.

    Raises:
        RubricError: The rubric cannot be read.
        UsageError: It has neither.
    """
    path = config.agent(agent.id).rubric
    if path is not None:
        return load_rubric(config.root / path)
    if not agent.objective:
        raise UsageError(f"agent '{agent.id}' has neither a rubric nor an objective to be judged by")
    asked = f"The output does, fully and correctly, what the agent is for: {agent.objective}"
    return parsed_rubric("evaluation", [{"name": "objective", "description": asked, "scale": [1, 5]}])


def fall_of(config: Config, agent_id: str, scores: Sequence[float]) -> GateResult | None:
    """Compare the newest runs of an agent with those before, by the gate on a fall from a baseline.

    Args:
        config: How far a fall may go, and the confidence of all gates.
        agent_id: The agent.
        scores: Of its runs, the newest first.

    Returns:
        The verdict; None before there are two runs with a score.
    """
    count = min(_NEWEST, len(scores) // 2)
    if not count:
        return None
    before = scores[count : count + _BEFORE]
    spec = GateSpec(
        metric="score", max_drop=config.agent(agent_id).max_drop, scope=Scope.CASE, task=agent_id
    ).with_default_confidence(config.confidence)
    return case_drop_gate(spec, scores[:count][::-1], math.fsum(before) / len(before), case_id=agent_id)


def scores_to_compare(store: Store, agent_id: str) -> list[float]:
    """Return the scores that ``fall_of`` looks at."""
    return store.agents.scores(agent_id, _NEWEST + _BEFORE)


def _recommendations(scores: Sequence[Score]) -> list[str]:
    """Say what was found wanting, the worst first."""
    weak = [score for score in scores if score.value is not None and score.value < 1 and score.reason]
    weak.sort(key=lambda score: score.value or 0.0)
    return [
        f"{score.name.partition('.')[2]} {score.value:.2f}: {plain(score.reason or '')}"
        for score in weak[:_MOST_RECOMMENDATIONS]
    ]


def summary_of(config: Config, store: Store, agent: Agent) -> EvalSummary:
    """Sum up the runs of an agent; there is no overall score until a run has been evaluated."""
    scores = scores_to_compare(store, agent.id)
    fall = fall_of(config, agent.id, scores)
    last = next(iter(store.agents.runs(agent.id, limit=1)), None)
    done = store.jobs.newest(agent.id, kind=jobs.EVALUATION, status=JobStatus.COMPLETED, limit=1)
    told = [_told(store.agents.count_runs(agent.id))]
    told += [f"The newest runs beside those before: {fall.sentence}."] if fall is not None else []
    # No operation of the page shows an evaluation itself.
    newest = store.jobs.newest(agent.id, kind=jobs.EVALUATION, limit=1)
    told += [f"The last evaluation failed: {job.error}." for job in newest if job.error is not None]
    return EvalSummary(
        intelligence_summary=" ".join(told),
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
