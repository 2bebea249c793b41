"""Kate's page: agents, their runs, the spans of those, and what is known of an agent's quality.

A run is a trace here, and its spans are those of that trace.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from ... import models
from ...config import Config
from ...models import AgentRun, AgentRunStatus, Span
from ...pipeline import jobs
from ...pipeline.observing import start_evaluation, summary_of
from ...pipeline.reported import add_spans, agent_of_first_run, trace_of
from ...platforms.kate import (
    Agent,
    AgentCreate,
    AgentList,
    AgentUpdate,
    Empty,
    Enqueue,
    Enqueued,
    EvalSummary,
    Run,
    RunCreate,
    RunList,
    SpanList,
    SpansUploaded,
    SpanUpload,
)
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal
from ..state import Metrics
from .known import agent_of, as_uuid, made_id, run_of


def list_agents(call: Call) -> AgentList:
    """List agents, the newest first."""
    return AgentList([_shown_agent(call, agent) for agent in call.store.agents.newest()])


async def create_agent(call: Call, body: AgentCreate) -> Agent | ASGIApp:
    """Create an agent, with a new id."""
    now = datetime.now(UTC)
    agent = models.Agent(**_given(call, body), created_at=now, updated_at=now)
    return await call.once(partial(_add_agent, call, agent))


def get_agent(call: Call, agent_id: str) -> Agent:
    """Show an agent."""
    return _shown_agent(call, agent_of(call.store, agent_id))


async def update_agent(call: Call, body: AgentUpdate, agent_id: str) -> Agent:
    """Change an agent; what is absent or null stays."""
    changes = {**_given(call, body), "updated_at": datetime.now(UTC)}
    return await call.write(partial(_update_agent, call, agent_id, changes))


async def delete_agent(call: Call, agent_id: str) -> Empty:
    """Delete an agent with its runs; the traces of the runs stay."""
    return await call.write(partial(_delete_agent, agent_id))


def _given(call: Call, body: AgentCreate | AgentUpdate) -> dict[str, object]:
    given: dict[str, object] = call.state.redactor.apart().data(body.to_json())
    return given


def _add_agent(call: Call, agent: models.Agent, store: Store) -> Agent:
    store.agents.add(agent)
    return _shown_agent(call, agent)


def _update_agent(call: Call, agent_id: str, changes: dict[str, object], store: Store) -> Agent:
    agent = agent_of(store, agent_id).model_copy(update=changes)
    store.agents.update(agent)
    return _shown_agent(call, agent)


def _delete_agent(agent_id: str, store: Store) -> Empty:
    store.agents.delete(agent_of(store, agent_id).id)
    return Empty()


def _shown_agent(call: Call, agent: models.Agent) -> Agent:
    return Agent.of(agent, str(made_id("workspace", call.workspace.id)))


def summarize(call: Call, agent_id: str) -> EvalSummary:
    """Sum up the runs of an agent; there is no overall score until a run has been evaluated."""
    return summary_of(call.state.config, call.store, agent_of(call.store, agent_id))


class RunQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 5
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


def list_runs(call: Call, query: RunQuery, agent_id: str) -> RunList:
    """List the runs of an agent, the newest first."""
    agent = agent_of(call.store, agent_id)
    found = call.store.agents.runs(agent.id, query.limit, query.offset)
    return RunList(runs=[as_it_stands(call.store, run) for run in found])


async def create_run(call: Call, body: RunCreate, agent_id: str) -> Run | ASGIApp:
    """Begin a run, which takes spans until it is completed; the first run of an agent with a name makes it.

    An agent that a program gave a name of its own, which no other operation could create, is created
    by its first run. UUIDs are given by the server, so that a run of an unknown one is refused.
    """
    run = AgentRun(agent_id=agent_id, trigger=body.trigger, created_at=datetime.now(UTC))
    if body.run_id is not None:
        run.id = str(body.run_id)
    return await call.once(partial(_add_run, run))


def get_run(call: Call, agent_id: str, run_id: str) -> Run:
    """Show a run as it stands."""
    return as_it_stands(call.store, run_of(call.store, agent_id, run_id))


async def complete_run(call: Call, agent_id: str, run_id: str) -> Run | ASGIApp:
    """End a run, which is then evaluated if it is time.

    A run that is completed already stays so, and is evaluated if it was not and it is time.
    """
    answer = await call.once(partial(_complete_run, call.state.config, agent_id, run_id, datetime.now(UTC)))
    call.state.worker.begin(call.workspace.id)
    return answer


async def enqueue_run(call: Call, body: Enqueue, agent_id: str) -> Enqueued | ASGIApp:
    """Have the server run an agent that its operator declared; a request never supplies one."""
    now = datetime.now(UTC)
    run = AgentRun(agent_id=agent_id, trigger=body.trigger, status=AgentRunStatus.QUEUED, created_at=now)
    declared = call.state.config.agent(agent_id).is_run
    given = call.state.redactor.apart().text(body.user_input)
    answer = await call.once(partial(_enqueue_run, run, given, declared))
    call.state.worker.begin(call.workspace.id)
    return answer


def as_it_stands(store: Store, run: AgentRun) -> Run:
    """Show a run; one whose job came to an end before it began has failed."""
    if run.status is AgentRunStatus.QUEUED:
        for job in store.jobs.newest(run.id, kind=jobs.AGENT_RUN, limit=1):
            if job.status.final:
                ended = {"status": AgentRunStatus.FAILED, "completed_at": job.finished_at}
                run = run.model_copy(update=ended)
    return Run.of(run)


def _enqueue_run(run: AgentRun, given: str, declared: bool, store: Store) -> Enqueued:
    if not declared:
        agent = agent_of(store, run.agent_id)
        raise Refusal(409, f"the operator of this server has not declared how to run agent {agent.id!r}")
    _add_run(run, store)
    settings = {"agent": run.agent_id, "run": run.id, "input": given}
    # A program may have done something before it failed: it is begun once.
    job = jobs.create(store, jobs.AGENT_RUN, run.id, settings, "api", retries=0)
    return Enqueued(run_id=run.id, job_id=str(job.uuid), status="queued")


def _add_run(run: AgentRun, store: Store) -> Run:
    if store.agents.one(run.agent_id) is None:
        store.agents.add(_agent_named(run))
    if not store.agents.add_run(run):
        raise Refusal(409, f"there is a run {run.id!r} already")
    return Run.of(run)


def _agent_named(run: AgentRun) -> models.Agent:
    agent = agent_of_first_run(run)
    if agent is None:
        wrong = f"there is no agent {run.agent_id!r}"
        more = "" if as_uuid(run.agent_id) else "; an id has letters, digits, '-' and '_'"
        raise Refusal(404, wrong + more)
    return agent


def _complete_run(config: Config, agent_id: str, run_id: str, now: datetime, store: Store) -> Run:
    run = run_of(store, agent_id, run_id)
    if run.status is AgentRunStatus.RUNNING:
        run = run.model_copy(update={"status": AgentRunStatus.COMPLETED, "completed_at": now})
        store.agents.update_run(run)
    elif run.status is not AgentRunStatus.COMPLETED:
        raise Refusal(409, f"run {run.id!r} is {run.status}; only a running one is completed")
    if run.overall_score is None:
        start_evaluation(config, store, agent_of(store, agent_id), run, trace_of(store, run), now)
    return Run.of(run)


def list_spans(call: Call, agent_id: str, run_id: str) -> SpanList:
    """List the spans of a run, in their order."""
    store = call.store
    trace = trace_of(store, run_of(store, agent_id, run_id))
    return SpanList.of([] if trace is None else trace.spans)


async def upload_spans(call: Call, body: SpanUpload, agent_id: str, run_id: str) -> SpansUploaded | ASGIApp:
    """Add spans to a running run, up to 60 times a minute."""
    most = call.state.config.server.max_batch
    if len(body.spans) > most:
        raise Refusal(413, f"{len(body.spans)} spans in one request; send {most} at most")
    call.state.span_uploads.take((call.workspace.id, as_uuid(run_id)))
    now = datetime.now(UTC)
    spans = call.state.redactor.apart().data([span.to_span(now) for span in body.spans])
    return await call.once(partial(_add_spans, call.state.metrics, agent_id, run_id, spans))


def _add_spans(
    metrics: Metrics, agent_id: str, run_id: str, spans: list[Span], store: Store
) -> SpansUploaded:
    run = run_of(store, agent_id, run_id)
    if run.status is not AgentRunStatus.RUNNING:
        raise Refusal(409, f"run {run.id!r} is {run.status}; only a running one takes spans")
    if add_spans(store, agent_of(store, agent_id), run, spans):
        metrics.traces.labels("kate").inc()
    return SpansUploaded(uploaded=len(spans), span_ids=[span.id for span in spans])


OPERATIONS = (
    Operation("GET", "/agents", Access.READ, list_agents),
    Operation("POST", "/agents", Access.WRITE, create_agent, status=201),
    Operation("GET", "/agents/{agent_id}", Access.READ, get_agent, errors=(404,)),
    Operation("PATCH", "/agents/{agent_id}", Access.WRITE, update_agent, errors=(404,)),
    Operation("DELETE", "/agents/{agent_id}", Access.WRITE, delete_agent, errors=(404,)),
    Operation("GET", "/agents/{agent_id}/eval/summary", Access.READ, summarize, errors=(404,)),
    Operation("GET", "/agents/{agent_id}/runs", Access.READ, list_runs, errors=(404,)),
    Operation("POST", "/agents/{agent_id}/runs", Access.WRITE, create_run, status=201, errors=(404, 409)),
    Operation("GET", "/agents/{agent_id}/runs/{run_id}", Access.READ, get_run, errors=(404,)),
    Operation(
        "POST",
        "/agents/{agent_id}/runs/{run_id}/complete",
        Access.WRITE,
        complete_run,
        errors=(404, 409, 422),
    ),
    Operation(
        "POST", "/agents/{agent_id}/runs/enqueue", Access.WRITE, enqueue_run, status=202, errors=(404, 409)
    ),
    Operation("GET", "/agents/{agent_id}/runs/{run_id}/spans", Access.READ, list_spans, errors=(404,)),
    Operation(
        "POST",
        "/agents/{agent_id}/runs/{run_id}/spans",
        Access.WRITE,
        upload_spans,
        status=201,
        errors=(404, 409),
    ),
)
