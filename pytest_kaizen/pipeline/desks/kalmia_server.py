"""Experiments, behaviours, annotations and ratings, and the search of traces, over a server.

The calls are those of ``LocalKalmia``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ...models import Trace
from ...platforms.kalmia import Experiment
from ...platforms.kalmia.arrived import arrived
from ...platforms.kalmia.client import KalmiaClient
from ...platforms.kalmia.trace_wire import KalmiaTrace
from ..figures import figures_of
from .kalmia import ExperimentView, FoundTrace


class ServerKalmia(KalmiaClient):
    """A server of ours or Kalmia itself: its client, with traces as ours.

    Of a trace they say what Kalmia's API has words for: no run, task, case, sample or rating.
    """

    def view_experiment(self, experiment_id: str) -> ExperimentView:
        """Return an experiment with its traces and their figures as they stand."""
        found = self.get_experiment(experiment_id)
        traces = [_ours(trace) for trace in found.traces]
        return ExperimentView(
            Experiment.model_validate(found.model_dump(include=set(Experiment.model_fields))),
            found.metrics or figures_of(traces),
            traces,
        )

    def find_traces(self, query: str, project: str | None, limit: int) -> list[FoundTrace]:
        """Find traces by words, in the order of the server."""
        found = self.search_traces(query, project, limit)
        return [FoundTrace(_ours(hit.trace), hit.score, hit.snippet) for hit in found.results]


def _ours(trace: KalmiaTrace) -> Trace:
    return arrived(None, trace, datetime.now(UTC))
