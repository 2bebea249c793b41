"""Jobs that have a model read traces: an experiment's analysis, behaviours, the evaluation of agents' runs.

Of runs it also says what is evaluated when, by what, and whether they have become worse.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from ..capture import Redactor
from ..config import Config
from ..errors import JobError, ScoreError, UsageError
from ..gate import case_drop_gate
from ..llm import LLM
from ..models import (
    Agent,
    AgentRun,
    Annotation,
    Behavior,
    GateResult,
    GateSpec,
    Job,
    JobStatus,
    Outcome,
    Scope,
    Score,
    Trace,
)
from ..optimize import Budget, CappedLLM, Failure, Meter
from ..optimize.analysis import Analyst, Finding, detect_behaviors
from ..platforms.kate import EvalSummary
from ..prices import load_prices
from ..report.text import plain
from ..score import Judge, Rubric, load_rubric, score_rubric
from ..score.asking import Asker
from ..store import Store
from ..store.observing import RunCounts
from . import jobs
from .feedback import parsed_rubric
from .judge import Calibrations, StoredAnswers
from .studied import chunks, shown

#: What an analysis or a detection may cost.
BUDGET_USD = 5.0
#: An annotation needs this confidence where nobody says.
MIN_CONFIDENCE = 0.5
_NAMESPACE = UUID("0a4f6e9e-6a0f-4b86-9a57-2b1a6a3d9c55")

#: What one evaluation may cost.
EVALUATION_BUDGET_USD = 1.0
#: Seconds for an answer of a judge, which has a whole run to read.
EVALUATION_TIMEOUT_S = 120.0
#: The newest runs, and those before that they are compared with.
_NEWEST, _BEFORE = 5, 50
_MOST_RECOMMENDATIONS = 5


class Asking:
    """What a claimed job asks models with: metered, capped, and no answer is paid for twice.

    What a process spent that had the job before counts against the cap too.

    Args:
        config: Prices, and whether answers are kept.
        store: Keeps them.
        job: The job; its ``spend`` is kept up to date.
        llm: The door to the models.
        budget_usd: The cap.
        on_step: Is told about progress; may raise ``jobs.HandedBack``.

    Attributes:
        llm: The same door, capped.
        cache: Where answers are kept; None for nowhere.
        asker: Asks through both.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        job: Job,
        llm: LLM,
        budget_usd: float,
        on_step: Callable[[Job], None],
    ) -> None:
        meter = Meter(Budget(usd=budget_usd))
        meter.used = job.spend
        self.llm = CappedLLM(llm, meter, load_prices(config.prices))
        self.cache = None
        if config.judge_cache:
            self.cache = StoredAnswers(store, Redactor(os.environ, config.redact))
        self.asker = Asker(self.llm, self.cache)
        self._store = store
        self._job = job
        self._on_step = on_step

    def say(self, step: str) -> None:
        """Say what is done next; raises as ``jobs.progress``."""
        jobs.progress(self._store, self._job, step, self._job.spend)
        self._on_step(self._job)


def start_or_join(store: Store, kind: str, of: str, settings: Mapping[str, Any]) -> Job:
    """Store a new job or, where the same is being done already, return that one.

    Args:
        store: Where jobs are kept.
        kind: ``analysis`` or ``detection``.
        of: What it is about, in a word.
        settings: All that a process needs to do it, as JSON.

    Raises:
        JobError: Another process has begun the same at this moment.
    """
    place = place_of(of, settings)
    there = store.jobs.newest(place, kind=kind, limit=1)
    if there and there[0].status in (JobStatus.QUEUED, JobStatus.RUNNING):
        return there[0]
    return jobs.create(store, kind, place, settings, "api")


def place_of(of: str, settings: Mapping[str, Any]) -> str:
    """Return what stands for the task of a job that has none: the same for the same request."""
    asked = json.dumps(settings, sort_keys=True)
    return f"{of} {hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def analysis_settings(traces: Sequence[Trace], question: str | None, model: str) -> dict[str, Any]:
    """Return the settings of an analysis."""
    return {"traces": [trace.id for trace in traces], "question": question, "model": model}


def detection_settings(
    traces: Sequence[str], behaviors: Sequence[Behavior], min_confidence: float | None, model: str
) -> dict[str, Any]:
    """Return the settings of a detection of behaviours in traces (ids)."""
    return {
        "traces": list(traces),
        "behaviors": [
            known.model_dump(mode="json") for known in sorted(behaviors, key=lambda one: one.label)
        ],
        "min_confidence": MIN_CONFIDENCE if min_confidence is None else min_confidence,
        "model": model,
    }


def analyze(config: Config, store: Store, job: Job, llm: LLM, on_step: Callable[[Job], None]) -> None:
    """Do a claimed analysis; its result has ``insights``: title, detail and traces of each.

    Its settings are ``traces`` (ids), ``model`` and ``question``.

    Raises:
        JobError: It was stopped, or another process has it.
        LLMError: The model failed, gave no readable answer, or the budget does not cover the next call.
        UsageError: None of its traces is left.
    """
    with jobs.running(store, job):
        asking = Asking(config, store, job, llm, BUDGET_USD, on_step)
        analyst = Analyst(asking.asker, job.settings["model"], job.settings["question"])
        found: list[Finding] = []
        chunk_count = 0
        for chunk in chunks(_traces(store, job.settings["traces"])):
            chunk_count += 1
            asking.say(f"reading chunk {chunk_count}: {len(found)} findings")
            found += analyst.study([_whole(trace) for trace in chunk])
        if not chunk_count:
            raise UsageError("none of the traces is there any more")
        if chunk_count > 1 and found:
            asking.say(f"merging {len(found)} findings")
            found = analyst.merge(found)
        job.result = {"insights": [_insight(finding) for finding in found]}


def detect(config: Config, store: Store, job: Job, llm: LLM, on_step: Callable[[Job], None]) -> None:
    """Do a claimed detection; its result has ``annotations``, which are stored, and ``checked`` traces.

    Its settings are ``traces`` (ids), ``behaviors`` (as they were when it was asked for), ``model`` and
    ``min_confidence``. A trace has one detected annotation for each label: the last. Raises as ``analyze``.
    """
    with jobs.running(store, job):
        asking = Asking(config, store, job, llm, BUDGET_USD, on_step)
        settings = job.settings
        behaviors = [Behavior.model_validate(behavior) for behavior in settings["behaviors"]]
        found: list[Annotation] = []
        checked = 0
        for trace in _traces(store, settings["traces"]):
            asking.say(f"trace {checked + 1} of {len(settings['traces'])}: {len(found)} found")
            seen = _whole(trace)
            signs = detect_behaviors(
                asking.asker, settings["model"], behaviors, input=seen.input, output=seen.output or ""
            )
            found += [
                Annotation(
                    id=str(uuid5(_NAMESPACE, f"{trace.id}\n{sign.label}")),
                    trace_id=trace.id,
                    label=sign.label,
                    confidence=sign.confidence,
                    notes=plain(sign.reason) or None,
                    source="detected",
                    created_at=datetime.now(UTC),
                )
                for sign in signs
                if sign.confidence >= settings["min_confidence"]
            ]
            checked += 1
        if not checked:
            raise UsageError("none of the traces is there any more")
        kept = store.annotations.put(found)
        job.result = {
            "annotations": [annotation.model_dump(mode="json") for annotation in kept],
            "checked": checked,
        }


def _traces(store: Store, ids: Sequence[str]) -> Iterator[Trace]:
    """Yield the traces that are still there: some may have been deleted since."""
    for trace_id in ids:
        trace = store.intake.one(trace_id)
        if trace is not None:
            yield trace


def _whole(trace: Trace) -> Failure:
    return shown(trace, recursive=False)


def _insight(finding: Finding) -> dict[str, Any]:
    title = " ".join(plain(finding.title).split())
    return {"title": title, "detail": plain(finding.detail), "traceIds": list(finding.traces)}


def why_not_evaluated(
    config: Config, store: Store, agent: Agent, trace: Trace | None, now: datetime
) -> str | None:
    """Say why a run of an agent, which did what its trace says, is not evaluated now; None where it is."""
    settings = config.agent(agent.id)
    if trace is None or trace.output is None:
        return "it has no output to judge"
    if not (settings.rubric or agent.objective):
        cure = f"`kaizen agents update {agent.id} --objective TEXT`"
        return f"its agent has no rubric and no objective ({cure})"
    for last in store.jobs.newest(agent.id, kind=jobs.EVALUATION, limit=1):
        over = last.created_at + timedelta(seconds=settings.cooldown_s)
        if not last.status.final:
            return f"another evaluation of its agent is under way (job {last.id})"
        if now < over:
            return f"the cooldown of its agent lasts until {over:%H:%M:%S} UTC"
    return None


def start_evaluation(
    config: Config, store: Store, agent: Agent, run: AgentRun, trace: Trace | None, now: datetime
) -> Job | None:
    """Store a job that evaluates a run; None for the reason that ``why_not_evaluated`` says."""
    if trace is None or why_not_evaluated(config, store, agent, trace, now) is not None:
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
        asking = Asking(config, store, job, llm, EVALUATION_BUDGET_USD, on_step)
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
