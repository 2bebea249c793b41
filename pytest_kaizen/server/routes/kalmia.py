"""Kalmia's page: traces that are sent, found and rated, experiments, behaviours and annotations.

Two of its operations ask a model: an experiment's analysis, and the detection of behaviours. Both answer
when their job is done. The job goes on when nobody waits any more; who asks the same again while it runs
waits for the same job, and what a model answered is not paid for twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from pydantic import BaseModel, RootModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ... import models
from ...capture.build import cost_of
from ...errors import JobError
from ...models import Job, JobStatus, SpanKind, Trace
from ...pipeline import jobs
from ...pipeline.observing import analysis_settings, detection_settings, start_or_join
from ...pipeline.reported import rate, rated
from ...pipeline.tally import figures_of
from ...platforms import validation_text
from ...platforms.kalmia import (
    Acknowledged,
    Analysis,
    AnalysisRequest,
    Annotation,
    AnnotationCreate,
    AnnotationList,
    Behavior,
    BehaviorCreate,
    BehaviorList,
    Detected,
    DetectRequest,
    Experiment,
    ExperimentCreate,
    ExperimentDetail,
    ExperimentList,
    FeedbackRequest,
    Hit,
    IngestResult,
    Rejected,
    SearchRequest,
    SearchResults,
)
from ...platforms.kalmia.arrived import arrived, project_of, shown
from ...platforms.kalmia.trace_wire import KalmiaTrace
from ...store import Store
from ...store.feedback import Rating
from ...store.search import MOST_COUNTED
from ..operation import Access, Call, Operation
from ..problem import Refusal
from ..state import State
from .integrations import found_elsewhere

#: How many traces a search shows where it does not say how many, and at most.
_HITS, _MOST_HITS = 50, 200
#: Seconds that a request waits for its job, and between two looks, at first and at most.
_PATIENCE_S = 600.0
_LOOKS_S = (0.02, 0.5)


class IngestBody(RootModel[list[Any] | dict[str, Any]]):
    """One trace, or an array; each is checked by itself, so that one mistake costs one trace."""


class _Arrived(NamedTuple):
    part: KalmiaTrace
    trace: Trace


async def ingest(call: Call, body: IngestBody) -> IngestResult:
    """Take traces, or parts of them, which merge; what the answer does not name is stored."""
    items = body.root if isinstance(body.root, list) else [body.root]
    most = call.state.config.server.max_batch
    if len(items) > most:
        raise Refusal(413, f"{len(items)} traces in one request; send {most} at most")
    parts, rejected = await run_in_threadpool(_read, call.state, items)
    await call.write(partial(_store, call.state, parts))
    call.state.metrics.traces.labels("kalmia").inc(len(parts))
    return IngestResult(rejected=rejected)


async def rate_trace(call: Call, trace_id: str, body: FeedbackRequest) -> Acknowledged:
    """Rate a trace, also before it has arrived; what is not given stays as it was."""
    redactor = call.state.redactor.apart()
    comment = None if body.comment is None else redactor.text(body.comment)
    rating = Rating(rating=body.rating, comment=comment)
    await call.write(lambda store: rate(store, trace_id, rating))
    return Acknowledged()


def search_traces(call: Call, body: SearchRequest) -> SearchResults:
    """Find traces by words, the last stored first."""
    limit = min(body.limit or _HITS, _MOST_HITS)
    # No index knows the project, so more is looked at where one is asked for.
    found = call.workspace.search(body.query, limit=limit if body.project is None else MOST_COUNTED)
    hits = [hit for hit in found.hits if body.project in (None, project_of(hit.trace))]
    results = [Hit(trace=shown(hit.trace), score=hit.score, snippet=hit.snippet) for hit in hits[:limit]]
    return SearchResults(results=results, total=found.total if body.project is None else len(hits))


def _read(state: State, items: Sequence[Any]) -> tuple[list[_Arrived], list[Rejected]]:
    parts, rejected = [], []
    redactor = state.redactor.apart()
    now = datetime.now(UTC)
    for item in items:
        try:
            part = KalmiaTrace.model_validate(redactor.data(item))
            parts.append(_Arrived(part, _priced(state, arrived(None, part, now))))
        except ValidationError as exc:
            rejected.append(Rejected(id=_id(item), reason=validation_text(exc)))
        except ValueError as exc:
            rejected.append(Rejected(id=_id(item), reason=str(exc)))
    return parts, rejected


def _id(item: Any) -> str:
    return str(item.get("id", "")) if isinstance(item, dict) else ""


def _store(state: State, parts: Sequence[_Arrived], store: Store) -> None:
    for part, fresh in parts:
        known = store.intake.one(part.id)
        trace = fresh
        if known is not None:
            trace = _priced(state, arrived(known, part, fresh.created_at))
        if trace != known:
            store.intake.put([rated(trace, store.ratings.one(trace.id))])


def _priced(state: State, trace: Trace) -> Trace:
    for span in trace.spans:
        if span.kind is SpanKind.LLM:
            span.cost_usd = cost_of(state.price, span.model, span.usage)
    return trace


async def create_experiment(call: Call, body: ExperimentCreate) -> Experiment | ASGIApp:
    """Group the traces with these correlation ids, which may arrive later."""
    most = call.state.config.server.max_batch
    if len(body.correlation_ids) > most:
        raise Refusal(413, f"{len(body.correlation_ids)} correlation ids; give {most} at most")
    # As those of the traces are kept.
    given = call.state.redactor.apart().data({"name": body.name, "correlation_ids": body.correlation_ids})
    experiment = models.Experiment(**given, created_at=datetime.now(UTC))
    return await call.once(partial(_add_experiment, experiment))


def list_experiments(call: Call) -> ExperimentList:
    """List experiments, the newest first."""
    return ExperimentList(experiments=[Experiment.of(known) for known in call.store.experiments.newest()])


async def get_experiment(call: Call, experiment_id: str) -> ExperimentDetail:
    """Show an experiment with its traces, the newest first, and their figures as they stand.

    Traces that are not here are looked up in the workspace's Braintrust project, where one is set up.
    """
    experiment, traces = await run_in_threadpool(_with_traces, call, experiment_id)
    held = {trace.metadata.get("correlationId", trace.id) for trace in traces}
    missing = [given for given in experiment.correlation_ids if given not in held]
    if elsewhere := await found_elsewhere(call, missing):
        traces = sorted([*traces, *elsewhere], key=lambda trace: trace.created_at, reverse=True)
    return await run_in_threadpool(_detailed, experiment, traces)


def _with_traces(call: Call, experiment_id: str) -> tuple[models.Experiment, list[models.Trace]]:
    experiment = call.store.experiments.one(experiment_id)
    if experiment is None:
        raise Refusal(404, f"there is no experiment {experiment_id!r}")
    return experiment, call.store.experiments.traces(experiment.correlation_ids)


def _detailed(experiment: models.Experiment, traces: list[models.Trace]) -> ExperimentDetail:
    return ExperimentDetail.of(
        experiment, traces=[shown(trace) for trace in traces], metrics=figures_of(traces)
    )


def _add_experiment(experiment: models.Experiment, store: Store) -> Experiment:
    store.experiments.add(experiment)
    return Experiment.of(experiment)


class AnnotationQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    trace_id: str | None = None
    label: str | None = None


async def create_behavior(call: Call, body: BehaviorCreate) -> Behavior | ASGIApp:
    """Define a behaviour in plain language; its label must be new."""
    given = call.state.redactor.apart().data({"label": body.label, "description": body.description})
    return await call.once(partial(_add_behavior, models.Behavior(**given, created_at=datetime.now(UTC))))


def list_behaviors(call: Call) -> BehaviorList:
    """List behaviours, the newest first."""
    return BehaviorList(behaviors=[Behavior.of(known) for known in call.store.annotations.behaviors()])


async def create_annotation(call: Call, body: AnnotationCreate) -> Annotation | ASGIApp:
    """Say that a trace shows a behaviour, which may be one that nobody has defined."""
    redactor = call.state.redactor.apart()
    annotation = models.Annotation(
        trace_id=body.trace_id,
        label=redactor.text(body.label),
        confidence=body.confidence,
        notes=None if body.notes is None else redactor.text(body.notes),
        created_at=datetime.now(UTC),
    )
    return await call.once(partial(_annotate, annotation))


def list_annotations(call: Call, query: AnnotationQuery) -> AnnotationList:
    """List annotations, the newest first: all, or those of a trace, with a label, or both."""
    found = call.store.annotations.newest(trace_id=query.trace_id, label=query.label)
    return AnnotationList(annotations=[Annotation.of(known) for known in found])


def _add_behavior(behavior: models.Behavior, store: Store) -> Behavior:
    if not store.annotations.add_behavior(behavior):
        raise Refusal(409, f"there is a behaviour {behavior.label!r} already")
    return Behavior.of(behavior)


def _annotate(annotation: models.Annotation, store: Store) -> Annotation:
    if not store.annotations.add(annotation):
        raise Refusal(404, f"there is no trace {annotation.trace_id!r}")
    return Annotation.of(annotation)


async def analyze(call: Call, body: AnalysisRequest, experiment_id: str) -> Analysis:
    """Have a model read an experiment's traces as they stand, and answer with what it found."""
    job = await _done(call, await begin_analysis(call, body, experiment_id))
    return Analysis.model_validate({**job.result, "jobId": job.id})


async def detect(call: Call, body: DetectRequest) -> Detected:
    """Have a model say which behaviours traces show; what it is sure enough of becomes annotations."""
    job = await _done(call, await begin_detection(call, body))
    return Detected.model_validate(job.result)


async def begin_analysis(call: Call, body: AnalysisRequest, experiment_id: str) -> Job:
    """Start an analysis, or find the same one under way.

    Raises:
        Refusal: There is nothing to analyse, or another analysis is under way.
    """
    settings = await run_in_threadpool(_to_analyze, call, body, experiment_id)
    return await _begun(call, jobs.ANALYSIS, experiment_id, settings)


async def begin_detection(call: Call, body: DetectRequest) -> Job:
    """Start a detection, or find the same one under way.

    Raises:
        Refusal: There is nothing to look for or at, or another detection is under way.
    """
    settings = await run_in_threadpool(_to_detect, call, body)
    return await _begun(call, jobs.DETECTION, "traces", settings)


def _to_analyze(call: Call, body: AnalysisRequest, experiment_id: str) -> dict[str, Any]:
    _, traces = _with_traces(call, experiment_id)
    if not traces:
        raise Refusal(409, f"experiment {experiment_id!r} has no traces yet", code="NO_TRACES")
    _require_few(call, len(traces))
    question = None if body.question is None else call.state.redactor.apart().text(body.question)
    return analysis_settings(traces, question, body.model or call.state.config.judge.model)


def _to_detect(call: Call, body: DetectRequest) -> dict[str, Any]:
    store = call.store
    # Of an id that is given twice there is one trace.
    traces = list(dict.fromkeys(body.trace_ids))
    _require_few(call, len(traces))
    missing = next((given for given in traces if not store.intake.has(given)), None)
    if missing is not None:
        raise Refusal(404, f"there is no trace {missing!r}")
    known = {behavior.label: behavior for behavior in store.annotations.behaviors()}
    unknown = next((label for label in body.labels or () if label not in known), None)
    if unknown is not None:
        raise Refusal(404, f"there is no behaviour {unknown!r}")
    if not known:
        raise Refusal(409, "no behaviour is defined yet: POST /api/behaviors", code="NO_BEHAVIORS")
    wanted = [known[label] for label in set(body.labels or known)]
    return detection_settings(traces, wanted, body.min_confidence, call.state.config.judge.model)


def _require_few(call: Call, count: int) -> None:
    most = call.state.config.server.max_batch
    if count > most:
        raise Refusal(413, f"{count} traces in one request; {most} at most are read")


async def _begun(call: Call, kind: str, of: str, settings: dict[str, Any]) -> Job:
    try:
        job = await call.write(partial(_start, kind, of, settings))
    except JobError as exc:
        raise Refusal(409, str(exc)) from None
    call.state.worker.begin(call.workspace.id)
    return job


async def _done(call: Call, job: Job) -> Job:
    """Wait for a job's end and return it.

    Raises:
        Refusal: It failed or was stopped (424), or takes longer than a request, or a server that is
            told to stop, waits (504).
    """
    until, (look_s, most_s) = monotonic() + _PATIENCE_S, _LOOKS_S
    while not job.status.final:
        if monotonic() > until or call.state.stopping.is_set():
            raise Refusal(504, f"job {job.id} takes long and goes on; ask the same again to wait for it")
        await asyncio.sleep(look_s)
        look_s = min(2 * look_s, most_s)
        job = await run_in_threadpool(call.store.jobs.one, job.id)
    if job.status is not JobStatus.COMPLETED:
        why = job.error or "it was stopped"
        raise Refusal(424, f"the {job.kind} failed: {why} (job {job.id})", code="JOB_FAILED")
    return job


def _start(kind: str, of: str, settings: dict[str, Any], store: Store) -> Job:
    return start_or_join(store, kind, of, settings)


OPERATIONS = (
    Operation("POST", "/api/v1/traces/ingest", Access.WRITE, ingest, errors=(503,)),
    Operation("POST", "/api/v1/traces/{trace_id}/feedback", Access.WRITE, rate_trace),
    Operation("POST", "/api/traces/search", Access.READ, search_traces),
    Operation("POST", "/api/experiments", Access.WRITE, create_experiment, status=201),
    Operation("GET", "/api/experiments", Access.READ, list_experiments),
    Operation("GET", "/api/experiments/{experiment_id}", Access.READ, get_experiment, errors=(404,)),
    Operation("POST", "/api/behaviors", Access.WRITE, create_behavior, status=201, errors=(409,)),
    Operation("GET", "/api/behaviors", Access.READ, list_behaviors),
    Operation("POST", "/api/annotations", Access.WRITE, create_annotation, status=201, errors=(404,)),
    Operation("GET", "/api/annotations", Access.READ, list_annotations),
    Operation(
        "POST",
        "/api/experiments/{experiment_id}/analysis",
        Access.WRITE,
        analyze,
        errors=(404, 409, 424, 504),
    ),
    Operation("POST", "/api/behaviors/detect", Access.WRITE, detect, errors=(404, 409, 424, 504)),
)
