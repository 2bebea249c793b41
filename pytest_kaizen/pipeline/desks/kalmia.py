"""Experiments, behaviours, annotations and ratings, and the search of traces, over the local store.

The calls are those of Kalmia's client, so that a command need not know whether it speaks to the store or
to a server (``servers``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from ... import models
from ...capture import Redactor
from ...config import Config
from ...errors import StoreError
from ...llm import LLM, AnthropicLLM
from ...models import Job, Trace
from ...platforms.kalmia import Analysis, Annotation, Behavior, Detected, Experiment, ExperimentMetrics
from ...platforms.kalmia.arrived import project_of
from ...prices import load_prices
from ...report.as_json import trace_json
from ...report.status import step_line
from ...store import Store
from ...store.feedback import Rating
from ...store.search import MOST_COUNTED
from .. import jobs
from ..observing import (
    analysis_settings,
    analyze,
    detect,
    detection_settings,
    place_of,
)
from ..reported import rate
from ..tally import figures_of

Work: TypeAlias = Callable[[Config, Store, Job, LLM, Callable[[Job], None]], None]

#: Seconds for an answer: a reading of traces takes longer than a judgement.
_TIMEOUT_S = 120.0


class ExperimentView(NamedTuple):
    """An experiment as it stands.

    Attributes:
        traces: The newest first.
    """

    experiment: Experiment
    metrics: ExperimentMetrics
    traces: list[Trace]

    def to_json(self) -> dict[str, Any]:
        """Return it as ``--json`` has it, each trace as ``trace_json`` does."""
        traces = [trace_json(trace) for trace in self.traces]
        return {**self.experiment.to_json(), "metrics": self.metrics.to_json(), "traces": traces}


class FoundTrace(NamedTuple):
    """A trace that a search found; the higher the score, the better it fits."""

    trace: Trace
    score: float
    snippet: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``--json`` has it."""
        return {"trace": trace_json(self.trace), "score": self.score, "snippet": self.snippet}


class LocalKalmia:
    """The local store, behind those calls; all raise ``StoreError`` for what is not there.

    Args:
        config: The project.
        store: Its store.
        redactor: Takes secrets out of what is put in.
        on_step: Is told how far long work is, in lines of text.
    """

    def __init__(
        self, config: Config, store: Store, redactor: Redactor, on_step: Callable[[str], object]
    ) -> None:
        self._config = config
        self._store = store
        self._redactor = redactor
        self._on_step = on_step

    def list_experiments(self) -> list[Experiment]:
        """Return all experiments, the newest first."""
        return [Experiment.of(known) for known in self._store.experiments.newest()]

    def create_experiment(self, name: str, correlation_ids: Sequence[str]) -> Experiment:
        """Group the traces with these correlation ids, which may arrive later."""
        given = self._redactor.data({"name": name, "correlation_ids": list(correlation_ids)})
        made = models.Experiment(**given, created_at=datetime.now(UTC))
        self._store.experiments.add(made)
        return Experiment.of(made)

    def view_experiment(self, experiment_id: str) -> ExperimentView:
        """Return an experiment with its traces and their figures as they stand."""
        experiment = self._store.experiments.one(experiment_id)
        if experiment is None:
            raise StoreError(
                f"there is no experiment {experiment_id!r}; `kaizen experiments list` shows them"
            )
        traces = self._store.experiments.traces(experiment.correlation_ids)
        return ExperimentView(Experiment.of(experiment), figures_of(traces), traces)

    def analyze_experiment(
        self, experiment_id: str, question: str | None = None, model: str | None = None
    ) -> Analysis:
        """Have a model read an experiment's traces, which costs money, and return what it found.

        Raises:
            JobError: The same is being done already.
            LLMError: The model failed, or the budget does not cover the next call.
        """
        traces = self.view_experiment(experiment_id).traces
        if not traces:
            raise StoreError(f"experiment {experiment_id!r} has no traces yet")
        asked = None if question is None else self._redactor.text(question)
        settings = analysis_settings(traces, asked, model or self._config.judge.model)
        job = self._work(jobs.ANALYSIS, experiment_id, settings, analyze)
        return Analysis.model_validate({**job.result, "jobId": job.id})

    def detect_behaviors(
        self,
        trace_ids: Sequence[str],
        labels: Sequence[str] | None = None,
        min_confidence: float | None = None,
    ) -> Detected:
        """Have a model annotate traces with the behaviours they show; raises as ``analyze_experiment``."""
        known = {behavior.label: behavior for behavior in self._store.annotations.behaviors()}
        if not known:
            raise StoreError("no behaviour is defined yet: `kaizen behaviors create LABEL DESCRIPTION`")
        for label in labels or ():
            if label not in known:
                raise StoreError(f"there is no behaviour {label!r} (there are: {', '.join(sorted(known))})")
        # Of an id that is given twice there is one trace.
        traces = list(dict.fromkeys(self._store.trace(given).id for given in trace_ids))
        wanted = [known[label] for label in set(labels or known)]
        settings = detection_settings(traces, wanted, min_confidence, self._config.judge.model)
        return Detected.model_validate(self._work(jobs.DETECTION, "traces", settings, detect).result)

    def _work(self, kind: str, of: str, settings: dict[str, Any], do: Work) -> Job:
        """Do a job in this process and return it as it then is."""
        job = jobs.start(self._store, kind, place_of(of, settings), settings)
        timeout_s = max(self._config.judge.timeout_s, _TIMEOUT_S)
        llm = AnthropicLLM(load_prices(self._config.prices), timeout_s=timeout_s)
        try:
            do(self._config, self._store, job, llm, self._say)
        finally:
            llm.close()
        return self._store.jobs.one(job.id)

    def _say(self, job: Job) -> None:
        self._on_step(step_line(job))

    def list_behaviors(self) -> list[Behavior]:
        """Return the behaviours that are defined, the newest first."""
        return [Behavior.of(known) for known in self._store.annotations.behaviors()]

    def create_behavior(self, label: str, description: str) -> Behavior:
        """Define a behaviour in plain language."""
        given = self._redactor.data({"label": label, "description": description})
        made = models.Behavior(**given, created_at=datetime.now(UTC))
        if not self._store.annotations.add_behavior(made):
            raise StoreError(f"there is a behaviour {made.label!r} already")
        return Behavior.of(made)

    def list_annotations(self, trace_id: str | None = None, label: str | None = None) -> list[Annotation]:
        """Return annotations, the newest first: all, or those of a trace, with a label, or both."""
        whole = None if trace_id is None else self._store.trace(trace_id).id
        return [Annotation.of(known) for known in self._store.annotations.newest(trace_id=whole, label=label)]

    def create_annotation(
        self, trace_id: str, label: str, confidence: float, notes: str | None = None
    ) -> Annotation:
        """Say that a trace shows a behaviour, which may be one that nobody has defined."""
        made = models.Annotation(
            trace_id=self._store.trace(trace_id).id,
            label=self._redactor.text(label),
            confidence=confidence,
            notes=None if notes is None else self._redactor.text(notes),
            created_at=datetime.now(UTC),
        )
        self._store.annotations.add(made)
        return Annotation.of(made)

    def submit_feedback(
        self, trace_id: str, rating: Literal["up", "down"] | None = None, comment: str | None = None
    ) -> None:
        """Say what a trace is worth; what is None stays as it was."""
        said = None if comment is None else self._redactor.text(comment)
        rate(self._store, self._store.trace(trace_id).id, Rating(rating=rating, comment=said))

    def find_traces(self, query: str, project: str | None, limit: int) -> list[FoundTrace]:
        """Find traces by words, the last stored first."""
        found = self._store.shelf.search(query, limit=limit if project is None else MOST_COUNTED)
        hits = [hit for hit in found.hits if project in (None, project_of(hit.trace))]
        return [FoundTrace(*hit) for hit in hits[:limit]]
