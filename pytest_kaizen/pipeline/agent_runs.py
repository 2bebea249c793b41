"""The runs that programs report of their agents: each is a trace, to which spans are added."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from ..models import Agent, AgentRun, Span, Trace
from ..store import Store
from .live import content_of

_AGENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
#: Marks a trace that came as a run of an agent.
_SOURCE = "kate"


def trace_of(store: Store, run: AgentRun) -> Trace | None:
    """Return the trace that a run is, whoever sent it; None before anything was sent."""
    return store.intake.one(run.trace_id) or store.intake.one(run.id)


def agent_of_first_run(run: AgentRun) -> Agent | None:
    """Return the agent that its first run makes; None where its id is none that a program may choose.

    UUIDs are given out, so one that is not known is a mistake.
    """
    agent_id = run.agent_id
    if not _AGENT_ID.fullmatch(agent_id) or _is_uuid(agent_id):
        return None
    return Agent(id=agent_id, name=agent_id, created_at=run.created_at, updated_at=run.created_at)


def add_spans(store: Store, agent: Agent, run: AgentRun, spans: Sequence[Span]) -> bool:
    """Add spans to the trace that a run is; return whether they are its first."""
    if not spans:
        return False
    known = trace_of(store, run)
    store.intake.put([_with(known or _new(agent, run), spans)])
    return known is None


def _new(agent: Agent, run: AgentRun) -> Trace:
    return Trace(
        id=run.trace_id,
        name=agent.name,
        created_at=run.created_at,
        metadata={"source": _SOURCE, "agent_id": run.agent_id, "trigger": run.trigger},
    )


def _with(trace: Trace, more: Sequence[Span]) -> Trace:
    """Return a trace with more spans; what it is about is its last model call, unless somebody said."""
    spans = [*trace.spans, *more]
    if trace.metadata.get("source") != _SOURCE:
        return trace.model_copy(update={"spans": spans})
    content = content_of(spans)
    return trace.model_copy(update={"spans": spans, "input": content.input, "output": content.output})


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
