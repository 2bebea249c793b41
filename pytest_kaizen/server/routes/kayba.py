"""Kayba's page: traces as files, insights drawn from them, the jobs that do so, prompts made of insights.

Prompts are the versions of the task ``default``, unless another one is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ... import models
from ...errors import JobError, UsageError
from ...models import InsightStatus, JobStatus, PromptVersion, Trace
from ...pipeline import jobs
from ...pipeline.desks.kayba import LocalDesk
from ...pipeline.insights import DEFAULT_TASK, Study, choose
from ...pipeline.prompt_versions import write_stored_prompt
from ...pipeline.trace_files import NewFile, file_traces
from ...platforms.kayba import (
    BatchRequest,
    Empty,
    GeneratedPrompt,
    GenerateInsights,
    GeneratePrompt,
    Insight,
    Insights,
    Job,
    JobResult,
    Jobs,
    JobStarted,
    Materialized,
    Prompt,
    PromptContent,
    PromptMeta,
    Prompts,
    TraceFile,
    TraceFiles,
    TraceMeta,
    TraceMetas,
    Triage,
    Uploaded,
    UploadRequest,
)
from ...report.as_json import META_KEYS, trace_content, trace_json
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal
from .known import job_of

_AT_ONCE = 200
_STATUS = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "running",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "failed",
}


def list_traces(call: Call) -> TraceMetas:
    """List all traces, the newest first, without their content."""
    return TraceMetas(traces=[_meta_of(trace) for trace in _all_traces(call.store)])


async def upload_traces(call: Call, body: UploadRequest) -> Uploaded | ASGIApp:
    """Store files as traces, all or none."""
    most = call.state.config.server.max_batch
    if len(body.traces) > most:
        raise Refusal(413, f"{len(body.traces)} files in one request; send {most} at most")
    files = [NewFile(file.filename, file.content, file.file_type) for file in body.traces]
    return await call.once(partial(_add_traces, file_traces(files, call.state.redactor.apart())))


def get_trace(call: Call, trace_id: str) -> TraceFile:
    """Show a trace with its content."""
    return _file_of(_known_trace(call.store, trace_id))


async def delete_trace(call: Call, trace_id: str) -> Empty:
    """Delete a trace."""
    return await call.write(partial(_delete_trace, trace_id))


def get_traces(call: Call, body: BatchRequest) -> TraceFiles:
    """Show several traces with their content, in the order asked; unknown ids are left out."""
    most = call.state.config.server.max_batch
    if len(body.ids) > most:
        raise Refusal(413, f"{len(body.ids)} ids in one request; send {most} at most")
    found = (call.store.intake.one(trace_id) for trace_id in body.ids)
    return TraceFiles(traces=[_file_of(trace) for trace in found if trace is not None])


def _all_traces(store: Store) -> Iterator[Trace]:
    after = None
    while True:
        page = store.intake.page(limit=_AT_ONCE, after=after)
        yield from page.traces
        if not page.more:
            return
        after = page.ends[-1]


def _add_traces(traces: Sequence[Trace], store: Store) -> Uploaded:
    store.shelf.add(traces)
    return Uploaded(count=len(traces), traces=[_meta_of(trace) for trace in traces])


def _delete_trace(trace_id: str, store: Store) -> Empty:
    # The shelf finds a trace by the beginning of its id too, which a program never means.
    store.shelf.delete(_known_trace(store, trace_id).id)
    return Empty()


def _known_trace(store: Store, trace_id: str) -> Trace:
    trace = store.intake.one(trace_id)
    if trace is None:
        raise Refusal(404, f"there is no trace {trace_id!r}")
    return trace


def _meta_of(trace: Trace) -> TraceMeta:
    values = trace_json(trace)
    return TraceMeta.model_validate({key: values[key] for key in META_KEYS})


def _file_of(trace: Trace) -> TraceFile:
    return TraceFile.model_validate({**_meta_of(trace).to_json(), "content": trace_content(trace)})


class InsightQuery(BaseModel, defer_build=True):
    """What may be asked of the list; the status ``new`` is another name for ``pending``."""

    status: Literal["pending", "new", "accepted", "rejected"] | None = None
    section: str | None = None


async def generate_insights(call: Call, body: GenerateInsights) -> JobStarted | ASGIApp:
    """Start a job that draws insights from traces, all of them or those named."""
    return await draw_insights(call, body)


async def draw_insights(call: Call, body: GenerateInsights, task: str | None = None) -> JobStarted | ASGIApp:
    """Start a job that draws insights from traces, of one task only where given."""
    study = await run_in_threadpool(_study, call, body, task)
    answer = await call.once(partial(_start_study, study, body.anthropic_api_key or None))
    call.state.worker.begin(call.workspace.id)
    return answer


def list_insights(call: Call, query: InsightQuery) -> Insights:
    """List insights, the newest first."""
    found = desk_of(call, call.store).list_insights(query.status, query.section)
    return Insights.model_validate({"insights": found})


async def triage_insight(call: Call, body: Triage, insight_id: str) -> Insight:
    """Accept or reject an insight."""
    return await call.write(partial(_triage_insight, call, insight_id, body))


def desk_of(call: Call, store: Store) -> LocalDesk:
    """Return what answers Kayba's calls over a store."""
    return LocalDesk(call.state.config, store, call.state.redactor)


def require_insights(store: Store, ids: list[str]) -> None:
    """Make sure that insights are there.

    Raises:
        Refusal: One is not (404).
    """
    there = {insight.id for insight in store.insights()}
    # The desk takes beginnings of ids too, which a program never means.
    missing = next((given for given in ids if given not in there), None)
    if missing is not None:
        raise Refusal(404, f"there is no insight {missing!r}")


def _study(call: Call, body: GenerateInsights, task: str | None) -> Study:
    store, config = call.store, call.state.config
    ids = body.trace_ids
    missing = next((given for given in ids or () if not store.intake.has(given)), None)
    if missing is not None:
        raise Refusal(404, f"there is no trace {missing!r}")
    try:
        chosen = choose(config, store, ids, task)
    except UsageError as exc:
        raise Refusal(400, str(exc), code="NO_TRACES") from None
    return Study(
        chosen.traces,
        model=body.model or config.judge.model,
        epochs=body.epochs or 1,
        mode=body.reflector_mode or "recursive",
        own_key=bool(body.anthropic_api_key),
    )


def _start_study(study: Study, key: str | None, store: Store) -> JobStarted:
    try:
        job = jobs.create(store, jobs.INSIGHTS, study.task, study.settings, "api", key=key)
    except JobError:
        raise Refusal(409, f"insights of '{study.task}' are being drawn already; wait for that job") from None
    return JobStarted(job_id=job.id)


def _triage_insight(call: Call, insight_id: str, body: Triage, store: Store) -> Insight:
    require_insights(store, [insight_id])
    accept, reject = ([insight_id], []) if body.status == "accepted" else ([], [insight_id])
    (changed,) = desk_of(call, store).triage_insights(accept, reject, note=body.note)
    return Insight.model_validate(changed)


class JobQuery(BaseModel):
    """What may be asked of the list."""

    task: str | None = None
    kind: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


def get_job(call: Call, job_id: str) -> Job:
    """Show how a job stands."""
    return _shown_job(job_of(call.store, job_id))


def list_jobs(call: Call, query: JobQuery) -> Jobs:
    """List jobs of all kinds, the newest first; of one task or kind only, where given."""
    found = call.store.jobs.newest(query.task, kind=query.kind, limit=query.limit)
    return Jobs([_shown_job(job) for job in found])


async def materialize_job(call: Call, job_id: str) -> Materialized:
    """See to it that a job's insights are in the skillbook; a second time changes nothing."""
    return await call.write(partial(_materialize_job, call, job_id))


async def cancel_job(call: Call, job_id: str) -> Job:
    """Stop a job of any kind at its next step; one that has come to an end stays as it is."""
    return await call.write(lambda store: _shown_job(jobs.stop(store, job_of(store, job_id).id)))


def _shown_job(job: models.Job) -> Job:
    error = "the job was stopped" if job.status is JobStatus.STOPPED else job.error
    shown = Job.of(job)
    if job.kind == jobs.IMPORT and job.result:
        shown = shown.model_copy(update={"result": JobResult(summary=job.result)})
    return shown.model_copy(update={"status": _STATUS[job.status], "error": error})


def _materialize_job(call: Call, job_id: str, store: Store) -> Materialized:
    job = job_of(store, job_id)
    try:
        return Materialized.model_validate(desk_of(call, store).materialize_job(job.id))
    except JobError as exc:
        raise Refusal(409, str(exc)) from None


class PromptQuery(BaseModel, defer_build=True):
    """Whose prompts are meant: *ours*, Kayba knows no tasks."""

    task: str | None = None


async def generate_prompt(call: Call, query: PromptQuery, body: GeneratePrompt) -> GeneratedPrompt | ASGIApp:
    """Make a prompt of insights, all that are accepted or those named."""
    return await call.once(partial(_generate_prompt, query.task, body))


def list_prompts(call: Call, query: PromptQuery) -> Prompts:
    """List prompts without their text, the newest first."""
    found = reversed(call.store.prompts(query.task or DEFAULT_TASK))
    return Prompts([PromptMeta(id=known.id, version=known.version, label=known.note) for known in found])


def get_prompt(call: Call, prompt_id: str) -> Prompt:
    """Show a prompt."""
    task = prompt_id.rpartition("@")[0]
    found = next((known for known in call.store.prompts(task) if known.id == prompt_id), None)
    if found is None:
        raise Refusal(404, f"there is no prompt {prompt_id!r}")
    return Prompt(id=found.id, version=found.version, label=found.note, content=_content_of(found))


def _generate_prompt(task: str | None, body: GeneratePrompt, store: Store) -> GeneratedPrompt:
    if body.insight_ids is None:
        task = task or _task_of_accepted(store)
    else:
        require_insights(store, body.insight_ids)
    if body.insight_ids == []:
        raise Refusal(400, "insightIds: name at least one, or leave it out to take all that are accepted")
    try:
        made = write_stored_prompt(store, insight_ids=body.insight_ids, task=task, label=body.label)
    except UsageError as exc:
        raise Refusal(400, str(exc)) from None
    return GeneratedPrompt(
        prompt_id=made.id, version=made.version, label=made.note, content=_content_of(made)
    )


def _task_of_accepted(store: Store) -> str:
    """Return the task that a prompt without insights named is for: the default one, else the only one."""
    tasks = sorted({insight.task for insight in store.insights(status=InsightStatus.ACCEPTED)})
    if not tasks:
        raise Refusal(400, "no insight is accepted; accept some: PATCH /api/insights/ID", code="NO_INSIGHTS")
    if DEFAULT_TASK in tasks:
        return DEFAULT_TASK
    if len(tasks) > 1:
        raise Refusal(400, f"accepted insights are of several tasks ({', '.join(tasks)}); name one: ?task=")
    return tasks[0]


def _content_of(version: PromptVersion) -> PromptContent:
    return PromptContent(text=version.text)


OPERATIONS = (
    Operation("GET", "/api/traces", Access.READ, list_traces),
    Operation("POST", "/api/traces", Access.WRITE, upload_traces),
    Operation("GET", "/api/traces/{trace_id}", Access.READ, get_trace, errors=(404,)),
    Operation("DELETE", "/api/traces/{trace_id}", Access.WRITE, delete_trace, errors=(404,)),
    Operation("POST", "/api/traces/batch", Access.READ, get_traces),
    Operation("POST", "/api/insights/generate", Access.WRITE, generate_insights, errors=(404, 409, 503)),
    Operation("GET", "/api/insights", Access.READ, list_insights),
    Operation("PATCH", "/api/insights/{insight_id}", Access.WRITE, triage_insight, errors=(404,)),
    Operation("GET", "/api/jobs", Access.READ, list_jobs),
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get_job, errors=(404,)),
    Operation("POST", "/api/jobs/{job_id}", Access.WRITE, materialize_job, errors=(404, 409)),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel_job, errors=(404,)),
    Operation("POST", "/api/prompts/generate", Access.WRITE, generate_prompt, errors=(404,)),
    Operation("GET", "/api/prompts", Access.READ, list_prompts),
    Operation("GET", "/api/prompts/{prompt_id}", Access.READ, get_prompt, errors=(404,)),
)
