"""Tasks and their feedback as text, for ``kaizen tasks`` and ``kaizen feedback``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..models import FeedbackCount, FeedbackEntry, Task
from .table import table
from .text import safe_text

_SHOWN = 60
_NO_TASKS = "no tasks yet; log feedback about one: `kaizen feedback add --task NAME`"


def tasks_table(tasks: Sequence[tuple[Task, FeedbackCount]]) -> str:
    """List tasks, one a line."""
    if not tasks:
        return _NO_TASKS
    rows = [
        (
            task.name,
            count.total,
            f"{count.fresh}/{task.feedback_threshold}",
            task.target_model,
            (task.evaluator_config or {}).get("type", "judge"),
            f"{task.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for task, count in tasks
    ]
    return safe_text(table(("task", "feedback", "since search", "model", "evaluator", "created"), rows))


def task_text(task: Task, count: FeedbackCount) -> str:
    """Show one task: what is set, and how much feedback it has."""
    given = task.model_dump(mode="json", exclude_none=True, exclude={"name"})
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items()
    ]
    progress = f"{count.fresh} of {task.feedback_threshold} since the last search"
    return safe_text("\n".join([f"task {task.name}", *lines, f"feedback: {count.total} ({progress})"]))


def feedback_table(entries: Sequence[FeedbackEntry]) -> str:
    """List entries, one a line."""
    if not entries:
        return "no feedback yet"
    rows = [
        (
            f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
            None if entry.score is None else f"{entry.score:.2f}",
            entry.source,
            _short(json.dumps(entry.inputs, ensure_ascii=False) if entry.inputs is not None else None),
            _short(entry.output),
        )
        for entry in entries
    ]
    return safe_text(table(("created", "score", "source", "inputs", "output"), rows))


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
