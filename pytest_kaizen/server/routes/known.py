"""What the ids in a request stand for here; Kaizen CT's and Kate's are UUIDs."""

from __future__ import annotations

from uuid import UUID

from ...models import Agent, AgentRun, Job, Task, Trace
from ...models.job import made_id as made_id
from ...store import Store
from ..problem import Refusal


def as_uuid(text: str) -> UUID | None:
    """Return the UUID that a text is; None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None


def task_of(store: Store, given: str) -> Task:
    """Return a task by its id or name.

    Raises:
        Refusal: There is none (404).
    """
    uuid = as_uuid(given)
    found = store.tasks.find(str(uuid)) if uuid is not None else None
    found = found or store.tasks.find(given)
    if found is None:
        raise Refusal(404, f"there is no task {given!r}")
    return found


def trace_of(store: Store, given: str) -> Trace:
    """Return a trace by its id, in whatever form of a UUID.

    Raises:
        Refusal: There is none (404).
    """
    uuid = as_uuid(given)
    forms = [given] if uuid is None else [given, uuid.hex, str(uuid)]
    found = next((trace for trace in map(store.intake.one, forms) if trace is not None), None)
    if found is None:
        raise Refusal(404, f"there is no trace {given!r}")
    return found


def job_of(store: Store, given: str) -> Job:
    """Return a job by its id, as we or as Kaizen CT has it.

    Raises:
        Refusal: There is none (404).
    """
    found = store.jobs.find(given)
    if found is None and (uuid := as_uuid(given)) is not None:
        # However it is written: in capitals, in braces, without hyphens.
        found = store.jobs.find(str(uuid))
    if found is None:
        raise Refusal(404, f"there is no job {given!r}")
    return found


def task_id_of(store: Store, name: str | None) -> UUID:
    """Return the id of a task by its name; a made one for a task that only its traces name."""
    found = None if name is None else store.tasks.find(name)
    return made_id("task", name or "") if found is None else UUID(found.id)


def agent_of(store: Store, agent_id: str) -> Agent:
    """Return an agent.

    Raises:
        Refusal: There is none (404).
    """
    agent = store.agents.one(agent_id)
    if agent is None:
        raise Refusal(404, f"there is no agent {agent_id!r}")
    return agent


def run_of(store: Store, agent_id: str, run_id: str) -> AgentRun:
    """Return a run of an agent, by its UUID in whatever form.

    Raises:
        Refusal: There is no such agent, or it has no such run (404).
    """
    agent_of(store, agent_id)
    run = store.agents.run(agent_id, str(as_uuid(run_id)))
    if run is None:
        raise Refusal(404, f"agent {agent_id!r} has no run {run_id!r}")
    return run
