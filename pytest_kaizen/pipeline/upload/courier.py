"""Takes what one backend is owed to it, batch by batch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from ...errors import PlatformError
from ...models import OutboxRow, Remote
from ...platforms.exchange import single_attempt
from ...store.outbox import Content, Outbox
from .backend import Backend, Fate, Parcel, Shipment, fate_of

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 900.0
#: From so many failed attempts on, a parcel goes alone: it may be what breaks the server.
_SUSPECT = 3
#: Alone and failed so often, it is set aside.
_POISON = 6
# Of its own: drawing from the global generator would shift what a test with a seed draws.
_RANDOM = random.SystemRandom()


class Courier:
    """Sends to one backend; what comes of it is in the outbox before the next batch is looked at.

    Args:
        backend: Where to.
        outbox: What is owed.
        say: Tells the user a line.
        patient: Whether a pause that an earlier session began counts.

    Attributes:
        sent: How many parcels arrived.
        stopped: Why nothing more is sent in this session; None while it goes on.
        unreachable: It could not be reached the last time: to come back soon is of no use.
    """

    def __init__(
        self, backend: Backend, outbox: Outbox, say: Callable[[str], None], *, patient: bool = True
    ) -> None:
        self.backend = backend
        self._outbox = outbox
        self._say = say
        state = outbox.state(backend.name)
        self._failures = state.failures
        self._due = state.next_at if patient else None
        self.sent = 0
        self.stopped: str | None = None
        self.unreachable = self.pause_s > 0

    @property
    def pause_s(self) -> float:
        """Seconds until the next batch may be sent."""
        if self._due is None:
            return 0.0
        return max(0.0, (self._due - datetime.now(UTC)).total_seconds())

    async def step(self) -> bool:
        """Send one batch, and return whether there was one.

        Raises:
            StoreError: The outbox cannot be read or written.
        """
        name = self.backend.name
        rows = self._outbox.batch(name, self.backend.max_batch)
        if not rows:
            return False
        if any(row.attempts >= _SUSPECT for row in rows):
            rows = rows[:1]
        contents = self._outbox.contents(rows)
        remote = self._outbox.remote(name, rows[0].run_id)
        there = {content.row for content in contents}
        gone = {row: "what it is about is no longer in the store" for row in rows if row not in there}
        if gone:
            self._outbox.settle(name, rows[0].run_id, remote, set_aside=gone)
        parcels = {_parcel(content): content.row for content in contents}
        await self._send(parcels, remote)
        return True

    async def _send(self, parcels: dict[Parcel, OutboxRow], remote: Remote) -> None:
        if not parcels:
            return
        shipment = Shipment(list(parcels), remote, self._say)
        refused: dict[OutboxRow, str] = {}
        error: Exception | None = None
        cut_off: asyncio.CancelledError | None = None
        try:
            # The outbox repeats what failed; a pause within a call would keep the session waiting.
            with single_attempt():
                await self.backend.send(shipment)
            shipment.done(*shipment.rest)
        except asyncio.CancelledError as exc:
            cut_off = exc
        except Exception as exc:
            error = exc
            if len(shipment.rest) == 1 and _is_refused(exc):
                refused[parcels[shipment.rest[0]]] = str(exc)
        arrived = [parcels[parcel] for parcel in shipment.delivered]
        self._outbox.settle(
            self.backend.name, shipment.run.id, remote, acknowledged=arrived, set_aside=refused
        )
        self.sent += len(arrived)
        if cut_off is not None:
            self._postpone("no whole answer in the time that there was", ())
            raise cut_off
        if error is None or refused:
            self._failures, self._due, self.unreachable = 0, None, False
        elif _is_refused(error):
            for parcel in shipment.rest:
                if self.stopped is None and self._due is None:
                    await self._send({parcel: parcels[parcel]}, remote)
        else:
            self._failed(error, [parcels[parcel] for parcel in shipment.rest], remote)

    def _failed(self, error: Exception, rows: Sequence[OutboxRow], remote: Remote) -> None:
        """Say when to come back after a failure, if at all."""
        if isinstance(error, PlatformError) and fate_of(error) is Fate.MISCONFIGURED:
            self.stopped = str(error)
            self._outbox.postpone(self.backend.name, self.stopped, datetime.now(UTC), 0)
            return
        known = isinstance(error, PlatformError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        # No fault of a parcel: nobody read it.
        suspect = not known or getattr(error, "status_code", None) == 500
        if suspect and len(rows) == 1 and rows[0].attempts + 1 >= _POISON:
            why = f"{rows[0].attempts + 1} attempts failed: {reason}"
            self._outbox.settle(self.backend.name, rows[0].run_id, remote, set_aside={rows[0]: why})
            return
        self.unreachable = known and getattr(error, "status_code", None) is None
        self._postpone(reason, rows if suspect else (), getattr(error, "retry_after", None))

    def _postpone(self, reason: str, tried: Sequence[OutboxRow], at_least_s: float | None = None) -> None:
        self._failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._failures - 1)) * _RANDOM.uniform(
            0.5, 1.0
        )
        if at_least_s is not None:
            pause = min(_LONGEST_PAUSE_S, at_least_s * _RANDOM.uniform(1.0, 1.1))
        self._due = datetime.now(UTC) + timedelta(seconds=pause)
        self._outbox.postpone(self.backend.name, reason, self._due, self._failures, tried)


def _is_refused(error: Exception) -> bool:
    return isinstance(error, PlatformError) and fate_of(error) is Fate.REFUSED


def _parcel(content: Content) -> Parcel:
    row = content.row
    return Parcel(row.key, row.kind, content.run, content.case, row.weak)
