"""Where traces go that are made outside pytest: the local store, or a Kaizen CT server."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from ...errors import CTError
from ...models import Case, Sample, Score, Trace
from ...platforms.kaizen_ct.client import CTClient
from ...store import Store
from ..feedback.traced import entry_of_trace
from ..metrics import sample_metrics
from ..plan import NO_TASK
from .origin import Origin

_log = logging.getLogger("pytest_kaizen")


class Kept(NamedTuple):
    """A trace that is kept.

    Attributes:
        trace_id: What it is found by, where it is.
        score: Adds a score to it; raises ``KaizenError``.
    """

    trace_id: str
    score: Callable[[Score], None]


class Sink(Protocol):
    """Takes finished traces."""

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:
        """Keep a trace.

        Args:
            trace: Without secrets.
            origin: Where its prompt stands.

        Raises:
            KaizenError: It could not be kept.
        """
        ...


class LocalSink:
    """Keeps traces in the local store, as samples of one run.

    Args:
        store: The store.
        run_id: The run, which is stored already.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._begun: set[str] = set()

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:  # noqa: ARG002 - a server asks for it
        """Store a trace, of a case that stays open: it is no test that comes to an outcome."""
        passed = trace.error is None
        values, missing = sample_metrics(trace, passed)
        sample = Sample(trace=trace, passed=passed, error=trace.error, metrics=values, missing=missing)
        case = Case(id=trace.name, run_id=self._run_id, task=trace.task or NO_TASK, complete=False)
        self._store.add_sample(case, sample, begins=case.id not in self._begun)
        self._begun.add(case.id)
        for score in trace.scores:
            self._as_feedback(trace, score)
        return Kept(trace.id, partial(self._score, trace))

    def _score(self, trace: Trace, score: Score) -> None:
        self._store.add_score(trace.id, score)
        self._as_feedback(trace, score)

    def _as_feedback(self, trace: Trace, score: Score) -> None:
        """Keep a score as feedback where the task says that its traces' scores are that."""
        task = None if trace.task is None else self._store.tasks.find(trace.task)
        if task is not None and task.feedback_source == "traces" and score.value is not None:
            self._store.feedback.add(task, entry_of_trace(trace, score, task))


class CTSink:
    """Sends traces to a Kaizen CT server; those that it does not take go elsewhere.

    Args:
        client: Speaks to the server.
        otherwise: Gives what takes the traces that cannot be sent.
    """

    def __init__(self, client: CTClient, otherwise: Callable[[], Sink]) -> None:
        self._client = client
        self._otherwise = otherwise

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:
        """Send a trace and its scores."""
        spans = trace.llm_spans
        usages = [usage for span in spans for usage in (span.usage.input_tokens, span.usage.output_tokens)]
        tokens = [count for count in usages if count is not None]
        latencies = [span.latency_ms for span in spans if span.latency_ms is not None]
        try:
            stored = self._client.log_trace(
                task_id=trace.task or trace.name,
                prompt_text=_text(trace.input),
                response_text=_text(trace.output),
                model=next((span.model for span in spans if span.model), None),
                tokens=sum(tokens) if tokens else None,
                latency_ms=math.fsum(latencies) if latencies else None,
                source_file=origin.file if origin else None,
                source_variable=origin.variable if origin else None,
                metadata={"kaizen_id": trace.id, **({"error": trace.error} if trace.error else {})},
            )
        except CTError as exc:
            kept = self._otherwise().keep(trace, origin)
            _log.warning("a trace stays in the local store: %s", exc)
            return kept
        kept = Kept(str(stored.id), partial(self._score, str(stored.id)))
        for score in trace.scores:
            kept.score(score)
        return kept

    def _score(self, trace_id: str, score: Score) -> None:
        if score.value is not None:
            self._client.score(trace_id, score.value)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
