"""What of Kalmia's page asks a model: an experiment's analysis, and the detection of behaviours.

Both answer when their job is done. The job goes on when nobody waits any more; who asks the same again
while it runs waits for the same job, and what a model answered is not paid for twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Any

from starlette.concurrency import run_in_threadpool

from ...errors import JobError
from ...models import Job, JobStatus
from ...pipeline import jobs
from ...pipeline.observing import (
    analysis_settings,
    detection_settings,
    start_or_join,
)
from ...platforms.kalmia.wire import Analysis, AnalysisRequest, Detected, DetectRequest
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal

#: Seconds that a request waits for its job, and between two looks, at first and at most.
_PATIENCE_S = 600.0
_LOOKS_S = (0.02, 0.5)


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
    experiment = call.store.experiments.one(experiment_id)
    if experiment is None:
        raise Refusal(404, f"there is no experiment {experiment_id!r}")
    traces = call.store.experiments.traces(experiment.correlation_ids)
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
    missing = next((given for given in traces if store.intake.one(given) is None), None)
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
    Operation(
        "POST",
        "/api/experiments/{experiment_id}/analysis",
        Access.WRITE,
        analyze,
        errors=(404, 409, 424, 504),
    ),
    Operation("POST", "/api/behaviors/detect", Access.WRITE, detect, errors=(404, 409, 424, 504)),
)
