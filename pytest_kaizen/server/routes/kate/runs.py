"""Kate's runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from ....models import Agent, AgentRun, AgentRunStatus
from ....platforms.kate.wire import Enqueue, Enqueued, Run, RunCreate, RunList
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from ..kaizen_ct.ids import as_uuid
from .known import agent_of, run_of

_AGENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class RunQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 5
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


def list_runs(call: Call, query: RunQuery, agent_id: str) -> RunList:
    """List the runs of an agent, the newest first."""
    agent = agent_of(call.store, agent_id)
    return RunList(runs=[Run.of(run) for run in call.store.agents.runs(agent.id, query.limit, query.offset)])


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
    return Run.of(run_of(call.store, agent_id, run_id))


async def complete(call: Call, agent_id: str, run_id: str) -> Run | ASGIApp:
    """End a run; one that is completed already stays as it is."""
    return await call.once(partial(_complete, agent_id, run_id, datetime.now(UTC)))


def enqueue(call: Call, body: Enqueue, agent_id: str) -> Enqueued:
    """Refuse to run an agent: no operator can declare one yet, and a request never supplies one."""
    agent = agent_of(call.store, agent_id)
    raise Refusal(409, f"the operator of this server has not declared how to run agent {agent.id!r}")


def _add(run: AgentRun, store: Store) -> Run:
    if store.agents.one(run.agent_id) is None:
        store.agents.add(_named(run))
    if not store.agents.add_run(run):
        raise Refusal(409, f"there is a run {run.id!r} already")
    return Run.of(run)


def _named(run: AgentRun) -> Agent:
    agent_id = run.agent_id
    if as_uuid(agent_id) is not None:
        raise Refusal(404, f"there is no agent {agent_id!r}")
    if not _AGENT_ID.fullmatch(agent_id):
        raise Refusal(404, f"there is no agent {agent_id!r}; an id has letters, digits, '-' and '_'")
    return Agent(id=agent_id, name=agent_id, created_at=run.created_at, updated_at=run.created_at)


def _complete(agent_id: str, run_id: str, now: datetime, store: Store) -> Run:
    run = run_of(store, agent_id, run_id)
    if run.status is AgentRunStatus.RUNNING:
        run = run.model_copy(update={"status": AgentRunStatus.COMPLETED, "completed_at": now})
        store.agents.update_run(run)
    elif run.status is not AgentRunStatus.COMPLETED:
        raise Refusal(409, f"run {run.id!r} is {run.status}; only a running one is completed")
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
