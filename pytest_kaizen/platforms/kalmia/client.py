"""Clients of Kalmia."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ...errors import KalmiaError
from .. import Failure, kalmia
from ..client import AsyncClient, PlatformClient, SyncClient, Twin
from .trace_wire import KalmiaTrace

if TYPE_CHECKING:
    import httpx

    from .. import Timeouts


class KalmiaCalls(PlatformClient):
    """The calls of Kalmia, which both of its clients have."""

    platform = "Kalmia"
    key_variable = "KALMIA_API_KEY"
    url_variable = "KALMIA_BASE_URL"
    default_url = "http://localhost:3000"
    key_header = ("Authorization", "Bearer")

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeouts = 60.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)

    @Twin
    async def ingest(self, traces: Sequence[KalmiaTrace]) -> kalmia.IngestResult:
        """Store traces, or more of traces that were stored before; the same ones twice change nothing.

        Returns:
            What was not stored, and why.

        Raises:
            KalmiaError: The call failed.
        """
        body = kalmia.IngestBatch(list(traces))
        return await self._ask("POST", "/api/v1/traces/ingest", body=body, reads=kalmia.IngestResult)

    @Twin
    async def list_traces(
        self,
        project: str | None = None,
        provider: str | None = None,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> kalmia.TracePage:
        """Return captured traces, newest first.

        Args:
            project: Those of this project alone.
            provider: Those with calls to this provider alone: ``anthropic``, ``openai``.
            limit: The most to return.
            cursor: ``next_cursor`` of the page before.

        Raises:
            KalmiaError: The call failed.
        """
        params = {"project": project, "provider": provider, "limit": limit, "cursor": cursor}
        return await self._ask("GET", "/api/v1/traces", params=params, reads=kalmia.TracePage)

    @Twin
    async def search_traces(
        self, query: str, project: str | None = None, limit: int | None = None
    ) -> kalmia.SearchResults:
        """Search the text of all traces, the best match first.

        Raises:
            KalmiaError: The call failed.
        """
        body = self._body(kalmia.SearchRequest, query=query, project=project, limit=limit)
        return await self._ask("POST", "/api/traces/search", body=body, reads=kalmia.SearchResults)

    @Twin
    async def submit_feedback(
        self, trace_id: str, rating: Literal["up", "down"] | None = None, comment: str | None = None
    ) -> None:
        """Say what a trace is worth, also before it has arrived; what is None stays as it was.

        Raises:
            KalmiaError: The call failed, or neither rating nor comment is given.
        """
        path = self._path("/api/v1/traces/{}/feedback", trace_id)
        body = self._body(kalmia.FeedbackRequest, rating=rating, comment=comment)
        await self._ask("POST", path, body=body, reads=kalmia.Acknowledged)

    @Twin
    async def create_experiment(self, name: str, correlation_ids: Sequence[str]) -> kalmia.Experiment:
        """Register an experiment: the traces with one of these correlation ids, now and later.

        Raises:
            KalmiaError: The call failed.
        """
        body = self._body(kalmia.ExperimentCreate, name=name, correlation_ids=list(correlation_ids))
        return await self._ask("POST", "/api/experiments", body=body, reads=kalmia.Experiment, once=True)

    @Twin
    async def list_experiments(self) -> list[kalmia.Experiment]:
        """Return all experiments, newest first.

        Raises:
            KalmiaError: The call failed.
        """
        return (await self._ask("GET", "/api/experiments", reads=kalmia.ExperimentList)).experiments

    @Twin
    async def get_experiment(self, experiment_id: str) -> kalmia.ExperimentDetail:
        """Return an experiment with its traces and metrics as they stand.

        Raises:
            KalmiaError: The call failed.
        """
        path = self._path("/api/experiments/{}", experiment_id)
        return await self._ask("GET", path, reads=kalmia.ExperimentDetail)

    @Twin
    async def analyze_experiment(
        self, experiment_id: str, question: str | None = None, model: str | None = None
    ) -> kalmia.Analysis:
        """Have a model read an experiment's traces, which costs money, and return what it found.

        Args:
            experiment_id: The experiment.
            question: What to look for.
            model: The model; Kalmia's choice when not given.

        Raises:
            KalmiaError: The call failed.
        """
        path = self._path("/api/experiments/{}/analysis", experiment_id)
        body = self._body(kalmia.AnalysisRequest, question=question, model=model)
        return await self._ask("POST", path, body=body, reads=kalmia.Analysis, once=True)

    @Twin
    async def list_braintrust_traces(
        self, project: str | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> kalmia.TracePage:
        """Return traces of the workspace's Braintrust project.

        Raises:
            KalmiaError: The call failed.
        """
        params = {"project": project, "limit": limit, "cursor": cursor}
        return await self._ask("GET", "/api/braintrust/traces", params=params, reads=kalmia.TracePage)

    @Twin
    async def get_braintrust_trace(self, trace_id: str) -> KalmiaTrace:
        """Return a trace of the workspace's Braintrust project with all its spans.

        Raises:
            KalmiaError: The call failed.
        """
        path = self._path("/api/braintrust/traces/{}", trace_id)
        return await self._ask("GET", path, reads=KalmiaTrace)

    @Twin
    async def list_behaviors(self) -> list[kalmia.Behavior]:
        """Return the behaviours that are defined.

        Raises:
            KalmiaError: The call failed.
        """
        return (await self._ask("GET", "/api/behaviors", reads=kalmia.BehaviorList)).behaviors

    @Twin
    async def create_behavior(self, label: str, description: str) -> kalmia.Behavior:
        """Define a behaviour in plain language.

        Raises:
            KalmiaError: The call failed.
        """
        body = self._body(kalmia.BehaviorCreate, label=label, description=description)
        return await self._ask("POST", "/api/behaviors", body=body, reads=kalmia.Behavior, once=True)

    @Twin
    async def detect_behaviors(
        self,
        trace_ids: Sequence[str],
        labels: Sequence[str] | None = None,
        min_confidence: float | None = None,
    ) -> kalmia.Detected:
        """Have a model annotate traces with the behaviours they show, which costs money.

        Args:
            trace_ids: The traces.
            labels: The behaviours to look for; None for all.
            min_confidence: The least to annotate at, in [0, 1]; Kalmia's default is 0.5.

        Raises:
            KalmiaError: The call failed.
        """
        body = self._body(
            kalmia.DetectRequest,
            trace_ids=list(trace_ids),
            labels=None if labels is None else list(labels),
            min_confidence=min_confidence,
        )
        return await self._ask("POST", "/api/behaviors/detect", body=body, reads=kalmia.Detected, once=True)

    @Twin
    async def list_annotations(
        self, trace_id: str | None = None, label: str | None = None
    ) -> list[kalmia.Annotation]:
        """Return annotations: all, or those of a trace, of a label, or of both.

        Raises:
            KalmiaError: The call failed.
        """
        params = {"trace_id": trace_id, "label": label}
        return (
            await self._ask("GET", "/api/annotations", params=params, reads=kalmia.AnnotationList)
        ).annotations

    @Twin
    async def create_annotation(
        self, trace_id: str, label: str, confidence: float, notes: str | None = None
    ) -> kalmia.Annotation:
        """Say that a trace shows a behaviour, with a confidence in [0, 1].

        Raises:
            KalmiaError: The call failed.
        """
        body = self._body(
            kalmia.AnnotationCreate, trace_id=trace_id, label=label, confidence=confidence, notes=notes
        )
        return await self._ask("POST", "/api/annotations", body=body, reads=kalmia.Annotation, once=True)

    def _error(self, failure: Failure) -> KalmiaError:
        body = failure.body
        return KalmiaError(
            failure.message,
            failure.status_code,
            body.get("error", body) if isinstance(body, dict) else body,
            transient=failure.transient,
            retry_after=failure.retry_after,
        )


class KalmiaClient(SyncClient, KalmiaCalls):
    """Client of Kalmia; a context manager that closes its connections.

    Args:
        api_key: The key; ``KALMIA_API_KEY`` when not given.
        base_url: Without ``/api``; ``KALMIA_BASE_URL`` when not given, else ``http://localhost:3000``.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.

    Raises:
        KalmiaError: There is no key; before any request.
    """


class AsyncKalmiaClient(AsyncClient, KalmiaCalls):
    """The same client with methods that are awaited, under asyncio or trio; see ``KalmiaClient``."""
