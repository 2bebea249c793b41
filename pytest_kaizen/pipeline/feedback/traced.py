"""A trace that got a score → feedback, for tasks whose feedback is that."""

from __future__ import annotations

from ...models import AUTO_EVAL, UNNAMED, FeedbackEntry, Score, ScoreSource, Task, Trace
from ...score.checks.base import as_text

_SOURCES = {ScoreSource.JUDGE: AUTO_EVAL, ScoreSource.HUMAN: "user_rating"}


def entry_of_trace(trace: Trace, score: Score, task: Task) -> FeedbackEntry:
    """Return the feedback that a scored trace is. An input that is no mapping is named ``input``."""
    inputs = trace.input if isinstance(trace.input, dict | None) else {UNNAMED: trace.input}
    return FeedbackEntry(
        task_id=task.id,
        inputs=inputs,
        output=None if trace.output is None else as_text(trace.output),
        score=score.value,
        source=_SOURCES.get(score.source, "sdk"),
        trace_id=trace.id,
        created_at=trace.created_at,
    )
