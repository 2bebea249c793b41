"""Tasks and their feedback as text, for ``kaizen tasks`` and ``kaizen feedback``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .table import table
from .text import safe_text

if TYPE_CHECKING:
    from ..platforms.kaizen_ct import FeedbackResult
    from ..platforms.kaizen_ct.task_wire import Task as WireTask

_SHOWN = 60
#: In the title, and in the last line.
_SAID_LAST = ("name", "feedback_count", "threshold_progress")
_NO_TASKS = "no tasks yet; log feedback about one: `kaizen feedback add --task NAME`"


def tasks_table(tasks: Sequence[WireTask]) -> str:
    """List tasks, one a line."""
    if not tasks:
        return _NO_TASKS
    rows = [
        (
            task.name,
            task.feedback_count,
            task.threshold_progress,
            task.target_model,
            (task.evaluator_config or {}).get("type", "judge"),
            f"{task.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for task in tasks
    ]
    return safe_text(table(("task", "feedback", "since search", "model", "evaluator", "created"), rows))


def task_text(task: WireTask) -> str:
    """Show one task: what is set, and how much feedback it has."""
    values = task.to_json()
    shown = {name: value for name, value in values.items() if value is not None and name not in _SAID_LAST}
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in shown.items()
    ]
    fresh, _, threshold = task.threshold_progress.partition("/")
    progress = f"{fresh} of {threshold} since the last search"
    return safe_text(
        "\n".join([f"task {task.name}", *lines, f"feedback: {task.feedback_count} ({progress})"])
    )


def feedback_table(entries: Sequence[FeedbackResult]) -> str:
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
