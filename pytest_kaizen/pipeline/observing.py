"""Jobs that have a model read traces: an experiment's analysis, and the detection of behaviours."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from ..capture import Redactor
from ..config import Config
from ..errors import UsageError
from ..llm import LLM
from ..models import Annotation, Behavior, Job, JobStatus, Trace
from ..optimize import Budget, CappedLLM, Failure, Meter
from ..optimize.analysis import Analyst, Finding
from ..prices import load_prices
from ..report.plain import plain
from ..score.asking import Asker
from ..score.behaviors import detect_behaviors
from ..store import Store
from . import jobs
from .answers import StoredAnswers
from .studied import chunks, shown

#: What one of them may cost.
BUDGET_USD = 5.0
#: An annotation needs this confidence where nobody says.
MIN_CONFIDENCE = 0.5
_NAMESPACE = UUID("0a4f6e9e-6a0f-4b86-9a57-2b1a6a3d9c55")


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
