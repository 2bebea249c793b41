"""Kate's runs."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from ....config import Config
from ....models import Agent, AgentRun, AgentRunStatus
from ....pipeline import jobs
from ....pipeline.agent_runs import agent_of_first_run, trace_of
from ....pipeline.evaluations import start_evaluation
from ....platforms.kate.wire import Enqueue, Enqueued, Run, RunCreate, RunList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..kaizen_ct.ids import as_uuid, made_id
from .known import agent_of, run_of


class RunQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 5
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


def list_runs(call: Call, query: RunQuery, agent_id: str) -> RunList:
    """List the runs of an agent, the newest first."""
    agent = agent_of(call.store, agent_id)
    found = call.store.agents.runs(agent.id, query.limit, query.offset)
    return RunList(runs=[as_it_stands(call.store, run) for run in found])


async def create(call: Call, body: RunCreate, agent_id: str) -> Run | ASGIApp:
    """Begin a run, which takes spans until it is completed; the first run of an agent with a name makes it.

    An agent that a program gave a name of its own, which no other operation could create, is created
    by its first run. UUIDs are given by the server, so that a run of an unknown one is refused.
    """
    run = AgentRun(agent_id=agent_id, trigger=body.trigger, created_at=datetime.now(UTC))
    if body.run_id is not None:
        run.id = str(body.run_id)
    return await call.once(partial(_add, run))


def get(call: Call, agent_id: str, run_id: str) -> Run:
    """Show a run as it stands."""
    return as_it_stands(call.store, run_of(call.store, agent_id, run_id))


async def complete(call: Call, agent_id: str, run_id: str) -> Run | ASGIApp:
    """End a run, which is then evaluated if it is time.

    A run that is completed already stays so, and is evaluated if it was not and it is time.
    """
    answer = await call.once(partial(_complete, call.state.config, agent_id, run_id, datetime.now(UTC)))
    call.state.worker.begin(call.workspace.id)
    return answer


async def enqueue(call: Call, body: Enqueue, agent_id: str) -> Enqueued | ASGIApp:
    """Have the server run an agent that its operator declared; a request never supplies one."""
    now = datetime.now(UTC)
    run = AgentRun(agent_id=agent_id, trigger=body.trigger, status=AgentRunStatus.QUEUED, created_at=now)
    declared = call.state.config.agent(agent_id).is_run
    given = call.state.redactor.apart().text(body.user_input)
    answer = await call.once(partial(_enqueue, run, given, declared))
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


def _enqueue(run: AgentRun, given: str, declared: bool, store: Store) -> Enqueued:
    if not declared:
        agent = agent_of(store, run.agent_id)
        raise Refusal(409, f"the operator of this server has not declared how to run agent {agent.id!r}")
    _add(run, store)
    settings = {"agent": run.agent_id, "run": run.id, "input": given}
    # A program may have done something before it failed: it is begun once.
    job = jobs.create(store, jobs.AGENT_RUN, run.id, settings, "api", retries=0)
    return Enqueued(run_id=run.id, job_id=str(made_id("job", job.id)), status="queued")


def _add(run: AgentRun, store: Store) -> Run:
    if store.agents.one(run.agent_id) is None:
        store.agents.add(_named(run))
    if not store.agents.add_run(run):
        raise Refusal(409, f"there is a run {run.id!r} already")
    return Run.of(run)


def _named(run: AgentRun) -> Agent:
    agent = agent_of_first_run(run)
    if agent is None:
        wrong = f"there is no agent {run.agent_id!r}"
        more = "" if as_uuid(run.agent_id) else "; an id has letters, digits, '-' and '_'"
        raise Refusal(404, wrong + more)
    return agent


def _complete(config: Config, agent_id: str, run_id: str, now: datetime, store: Store) -> Run:
    run = run_of(store, agent_id, run_id)
    if run.status is AgentRunStatus.RUNNING:
        run = run.model_copy(update={"status": AgentRunStatus.COMPLETED, "completed_at": now})
        store.agents.update_run(run)
    elif run.status is not AgentRunStatus.COMPLETED:
        raise Refusal(409, f"run {run.id!r} is {run.status}; only a running one is completed")
    if run.overall_score is None:
        start_evaluation(config, store, agent_of(store, agent_id), run, trace_of(store, run), now)
    return Run.of(run)


OPERATIONS = (
    Operation("GET", "/agents/{agent_id}/runs", Access.READ, list_runs, errors=(404,)),
    Operation("POST", "/agents/{agent_id}/runs", Access.WRITE, create, status=201, errors=(404, 409)),
    Operation("GET", "/agents/{agent_id}/runs/{run_id}", Access.READ, get, errors=(404,)),
    Operation(
        "POST",
        "/agents/{agent_id}/runs/{run_id}/complete",
        Access.WRITE,
        complete,
        errors=(404, 409, 422),
    ),
    Operation(
        "POST", "/agents/{agent_id}/runs/enqueue", Access.WRITE, enqueue, status=202, errors=(404, 409)
    ),
)
