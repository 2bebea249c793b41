"""What people and programs say of traces that are stored: ratings and scores."""

from __future__ import annotations

from ..models import Score, ScoreSource, Task, Trace
from ..store import Store
from ..store.feedback import Rating
from .feedback import entry_of_trace

#: The score that a rating is.
RATING = "rating"
#: The one score that a program gives a trace without naming it.
SCORE = "score"


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
