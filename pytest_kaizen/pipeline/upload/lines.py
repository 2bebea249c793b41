"""What is said about an upload."""

from __future__ import annotations

from ...models import BackendState
from ...report.plain import plain
from .dispatch import Dispatch

_NEXT = "they go with the next run or `kaizen sync`"


def upload_lines(dispatch: Dispatch | None, states: list[BackendState], names: tuple[str, ...]) -> list[str]:
    """Say for each backend what is owed, what was sent, and why not all of it.

    Args:
        dispatch: What was sent in this session; None when it never began.
        states: How the backends stand now.
        names: The backends in use.
    """
    known = {state.backend: state for state in states}
    return [_line(name, dispatch, known.get(name, BackendState(backend=name))) for name in names]


def _line(name: str, dispatch: Dispatch | None, state: BackendState) -> str:
    courier = dispatch.couriers.get(name) if dispatch else None
    sent = courier.sent if courier else 0
    aside = f"{state.set_aside} set aside" if state.set_aside else ""
    if not state.owed:
        parts = [f"{sent} sent" if sent else "nothing to send", aside]
    else:
        parts = [f"{state.owed} owed, {sent} sent", aside]
    line = f"{name}: {', '.join(filter(None, parts))}"
    why = (courier.stopped if courier else None) or state.reason
    if state.owed:
        if dispatch and dispatch.elsewhere:
            why = "another process is sending them"
        line += f" ({_NEXT})" + (f": {why}" if why else "")
    elif state.refused and state.set_aside:
        line += f": {state.refused[0]}"
    return plain(line)
