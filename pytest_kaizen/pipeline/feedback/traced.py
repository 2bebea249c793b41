"""A trace that got a score → feedback, for tasks whose feedback is that."""

from __future__ import annotations

from ...models import AUTO_EVAL, FeedbackEntry, Score, ScoreSource, Task, Trace

_SOURCES = {ScoreSource.JUDGE: AUTO_EVAL, ScoreSource.HUMAN: "user_rating"}


def entry_of_trace(trace: Trace, score: Score, task: Task) -> FeedbackEntry:
    """Return the feedback that a scored trace is. An input that is no mapping is named ``input``."""
    output = trace.output
    return FeedbackEntry(
        task_id=task.id,
        inputs=trace.input if isinstance(trace.input, dict) else {"input": trace.input},
        output=output if output is None or isinstance(output, str) else str(output),
        score=score.value,
        source=_SOURCES.get(score.source, "sdk"),
        trace_id=trace.id,
        created_at=trace.created_at,
    )
