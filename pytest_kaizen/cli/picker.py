"""The list of traces to choose from, on a terminal."""

from __future__ import annotations

from typing import Any

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.plain import plain

from .desk import Desk

#: How many are offered, the newest.
_OFFERED = 200


def pick(desk: Desk, task: str | None = None) -> list[str]:
    """Let the user choose traces.

    Args:
        desk: Where they are.
        task: Offer those of this task only.

    Returns:
        Their ids.

    Raises:
        UsageError: There is nothing to choose from, nothing was chosen, or the extra is missing.
        KeyboardInterrupt: The user gave up.
    """
    try:
        import questionary
    except ImportError:
        raise UsageError(
            "the list to choose from needs an extra: pip install 'pytest-kaizen[cli]'; "
            "or name the traces: --all or --traces ID"
        ) from None
    traces = desk.list_traces(_OFFERED, task)
    if not traces:
        raise UsageError("there are no traces to choose from; run `pytest --kaizen`, or upload some")
    choices = [questionary.Choice(_title(trace), trace["id"]) for trace in traces]
    chosen: list[str] = questionary.checkbox("Draw insights from:", choices=choices).unsafe_ask()
    if not chosen:
        raise UsageError("no trace was chosen")
    return chosen


def _title(trace: dict[str, Any]) -> str:
    """Name a trace in one line; nothing in it reaches the terminal as an escape."""
    task = f"  {trace['task']}" if trace.get("task") else ""
    text = f"{trace['id'][:8]}  {trace['filename']}{task}  {trace['uploadedAt'][:19]}  {trace['size']} bytes"
    return plain(" ".join(text.split()))
