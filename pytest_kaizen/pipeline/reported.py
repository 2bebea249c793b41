"""What programs and people report: spans of the runs of agents, ratings and scores of traces.

A run of an agent is a trace, to which spans are added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from ..models import Agent, AgentRun, Score, ScoreSource, Span, Task, Trace
from ..store import Store
from ..store.feedback import Rating
from .feedback import entry_of_trace
from .sample import content_of

_AGENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
#: Marks a trace that came as a run of an agent.
_SOURCE = "kate"

#: The score that a rating is.
RATING = "rating"
#: The one score that a program gives a trace without naming it.
SCORE = "score"


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


def rate(store: Store, trace_id: str, given: Rating) -> None:
    """Store a rating, also of a trace that has not arrived yet; what it does not say stays as it was."""
    rating = store.ratings.put(trace_id, given)
    trace = store.intake.one(trace_id)
    if trace is not None:
        store.intake.put([rated(trace, rating)])


def rated(trace: Trace, rating: Rating | None) -> Trace:
    """Return a trace with its rating as a score; a comment alone is kept beside it."""
    if rating is None or rating.rating is None:
        return trace
    others = [score for score in trace.scores if (score.name, score.source) != (RATING, ScoreSource.HUMAN)]
    value = 1.0 if rating.rating == "up" else 0.0
    score = Score(name=RATING, value=value, source=ScoreSource.HUMAN, reason=rating.comment)
    return trace.model_copy(update={"scores": [*others, score]})


def score_trace(store: Store, trace: Trace, value: float, scored_by: str) -> tuple[Trace, Task | None]:
    """Give a stored trace a score, over an earlier one.

    Args:
        store: Where it is.
        trace: The trace.
        value: In [0, 1].
        scored_by: Who says so.

    Returns:
        The trace as it is now, and its task if the score was feedback of it.
    """
    given = Score(name=SCORE, value=value, source=ScoreSource.SDK)
    others = [item for item in trace.scores if (item.name, item.source) != (SCORE, ScoreSource.SDK)]
    metadata = {**trace.metadata, "scored_by": scored_by}
    scored = trace.model_copy(update={"scores": [*others, given], "metadata": metadata})
    store.intake.put([scored])
    task = None if trace.task is None else store.tasks.find(trace.task)
    if task is None or task.feedback_source != "traces":
        return scored, None
    store.feedback.add(task, entry_of_trace(scored, given, task))
    return scored, task
