"""Experiments, behaviours, annotations and ratings, and the search of traces, over the local store.

The calls are those of Kalmia's client, so that a command need not know whether it speaks to the store or
to a server (``server_kalmia``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from .. import models
from ..capture import Redactor
from ..errors import StoreError
from ..models import Trace
from ..platforms.kalmia.arrived import project_of
from ..platforms.kalmia.wire import Annotation, Behavior, Experiment, ExperimentMetrics
from ..report.trace_json import trace_json
from ..store import Store
from ..store.ratings import Rating
from ..store.search import MOST_COUNTED
from .figures import figures_of
from .ratings import rate


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
        store: The store.
        redactor: Takes secrets out of what is put in.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

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
