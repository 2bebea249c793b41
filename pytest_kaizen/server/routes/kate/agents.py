"""Kate's agents."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.types import ASGIApp

from .... import models
from ....platforms.kate.wire import Agent, AgentCreate, AgentList, AgentUpdate, Empty
from ....store import Store
from ...operation import Access, Call, Operation
from ..kaizen_ct.ids import made_id
from .known import agent_of


def list_agents(call: Call) -> AgentList:
    """List agents, the newest first."""
    return AgentList([_shown(call, agent) for agent in call.store.agents.newest()])


async def create(call: Call, body: AgentCreate) -> Agent | ASGIApp:
    """Create an agent, with a new id."""
    now = datetime.now(UTC)
    agent = models.Agent(**_given(call, body), created_at=now, updated_at=now)
    return await call.once(partial(_add, call, agent))


def get(call: Call, agent_id: str) -> Agent:
    """Show an agent."""
    return _shown(call, agent_of(call.store, agent_id))


async def update(call: Call, body: AgentUpdate, agent_id: str) -> Agent:
    """Change an agent; what is absent or null stays."""
    changes = {**_given(call, body), "updated_at": datetime.now(UTC)}
    return await call.write(partial(_update, call, agent_id, changes))


async def delete(call: Call, agent_id: str) -> Empty:
    """Delete an agent with its runs; the traces of the runs stay."""
    return await call.write(partial(_delete, agent_id))


def _given(call: Call, body: AgentCreate | AgentUpdate) -> dict[str, object]:
    given: dict[str, object] = call.state.redactor.apart().data(body.to_json())
    return given


def _add(call: Call, agent: models.Agent, store: Store) -> Agent:
    store.agents.add(agent)
    return _shown(call, agent)


def _update(call: Call, agent_id: str, changes: dict[str, object], store: Store) -> Agent:
    agent = agent_of(store, agent_id).model_copy(update=changes)
    store.agents.update(agent)
    return _shown(call, agent)


def _delete(agent_id: str, store: Store) -> Empty:
    store.agents.delete(agent_of(store, agent_id).id)
    return Empty()


def _shown(call: Call, agent: models.Agent) -> Agent:
    return Agent.of(agent, str(made_id("workspace", call.workspace.id)))


OPERATIONS = (
    Operation("GET", "/agents", Access.READ, list_agents),
    Operation("POST", "/agents", Access.WRITE, create, status=201),
    Operation("GET", "/agents/{agent_id}", Access.READ, get, errors=(404,)),
    Operation("PATCH", "/agents/{agent_id}", Access.WRITE, update, errors=(404,)),
    Operation("DELETE", "/agents/{agent_id}", Access.WRITE, delete, errors=(404,)),
)
