"""What is said about an upload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...models import BackendState
from ...report.plain import plain
from .dispatch import Dispatch

_NEXT = "they go with the next run or `kaizen sync`"


@dataclass(frozen=True)
class Upload:
    """How far the upload to one backend has come.

    Attributes:
        state: Of its outbox.
        sent: Parcels that this process sent.
        why: Why something is still owed, where that is known.
    """

    state: BackendState
    sent: int = 0
    why: str | None = None

    @property
    def line(self) -> str:
        """The line that a session ends with."""
        state, aside = self.state, [f"{self.state.set_aside} set aside"] if self.state.set_aside else []
        if state.owed:
            counts = ", ".join([f"{state.owed} owed, {self.sent} sent", *aside])
            why = f": {self.why}" if self.why else ""
            return plain(f"{state.backend}: {counts} ({_NEXT}){why}")
        counts = ", ".join([f"{self.sent} sent" if self.sent else "nothing owed", *aside])
        why = f": {state.refused[0]}" if state.refused else ""
        return plain(f"{state.backend}: {counts}{why}")

    @property
    def status(self) -> str:
        """The line of ``kaizen sync --status``."""
        state = self.state
        line = f"{state.backend}: {state.owed} owed, {state.acknowledged} sent, {state.set_aside} set aside"
        if state.owed and state.reason:
            until = f" (next attempt {state.next_at:%Y-%m-%d %H:%M:%S} UTC)" if state.next_at else ""
            line += f"; last attempt: {state.reason}{until}"
        if state.set_aside:
            line += " (to send that again: `kaizen sync --set-aside`)"
        return plain("\n  set aside: ".join([line, *state.refused]))

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {**self.state.model_dump(mode="json"), "sent": self.sent, "why": self.why}


def uploads(
    dispatch: Dispatch | None,
    states: Iterable[BackendState],
    names: Iterable[str],
    unopened: Mapping[str, str] | None = None,
) -> list[Upload]:
    """Say how far the upload to each backend has come.

    Args:
        dispatch: What sent; None when it never began.
        states: How the backends stand now.
        names: The backends in use.
        unopened: Why a backend could not be used at all.
    """
    known = {state.backend: state for state in states}
    found = []
    for name in names:
        state = known.get(name, BackendState(backend=name))
        courier = dispatch.couriers.get(name) if dispatch else None
        why = (unopened or {}).get(name) or (courier.stopped if courier else None) or state.reason
        if not dispatch and why is None:
            why = "there was no time to begin"
        if dispatch and dispatch.elsewhere:
            why = "another process is sending them"
        found.append(Upload(state, courier.sent if courier else 0, why))
    return found
