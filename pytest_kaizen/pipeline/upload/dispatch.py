"""Sends what is owed to several backends at once, to each batch by batch and at its own pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

from ...errors import KaizenError, PlatformError
from ...models import OutboxRow, Remote
from ...platforms.exchange import single_attempt
from ...store import Store
from ...store.outbox import Content, Outbox
from . import Backend, Fate, Parcel, Shipment, fate_of

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 900.0
#: From so many failed attempts on, a parcel goes alone: it may be what breaks the server.
_SUSPECT = 3
#: Alone and failed so often, it is set aside.
_POISON = 6
# Of its own: drawing from the global generator would shift what a test with a seed draws.
_RANDOM = random.SystemRandom()

#: Seconds between two looks at an outbox that had nothing.
_LOOK_S = 0.25


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


class Dispatch:
    """Sends until it is told to come to an end, and then what there is still time for.

    Args:
        store: Its outbox says what is owed.
        backends: Where to.
        say: Tells the user a line.
        longest_pause_s: When it comes to an end, a longer pause than this is not waited for.
        patient: Whether pauses that an earlier session began count.

    Attributes:
        closing: Set when nothing more is to be waited for but what is owed now.
        couriers: One for each backend, once it has begun.
        elsewhere: Another process sends what is owed here, so that this one did not.
    """

    def __init__(
        self,
        store: Store,
        backends: Sequence[Backend],
        say: Callable[[str], None],
        *,
        longest_pause_s: float,
        patient: bool = True,
    ) -> None:
        self._store = store
        self._backends = backends
        self._say = say
        self._longest_pause_s = longest_pause_s
        self._patient = patient
        self.closing = asyncio.Event()
        self.couriers: Mapping[str, Courier] = {}
        self.elsewhere = False

    async def run(self) -> None:
        """Send, and close the backends' connections at the end.

        Raises:
            StoreError: The outbox cannot be read or written.
        """
        try:
            while not await self._has_sent():
                if self.closing.is_set():
                    self.elsewhere = True
                    return
                await self._pause(_LOOK_S)
        finally:
            for backend in self._backends:
                await backend.aclose()

    async def _has_sent(self) -> bool:
        outbox = self._store.outbox
        with outbox.sending() as ours:
            if ours:
                couriers = [
                    Courier(backend, outbox, self._say, patient=self._patient) for backend in self._backends
                ]
                self.couriers = {courier.backend.name: courier for courier in couriers}
                async with asyncio.TaskGroup() as tasks:
                    for courier in couriers:
                        tasks.create_task(self._keep_sending(courier))
                outbox.trim()
        return ours

    async def _keep_sending(self, courier: Courier) -> None:
        try:
            while courier.stopped is None:
                if (pause := courier.pause_s) > 0:
                    # A server that is not there now is not there in a moment either.
                    useless = courier.unreachable or pause > self._longest_pause_s
                    if self.closing.is_set() and useless:
                        return
                    await self._pause(pause)
                elif not await courier.step():
                    if self.closing.is_set():
                        return
                    await self._pause(_LOOK_S)
        except KaizenError as exc:
            courier.stopped = str(exc)
        except Exception as exc:
            # A mistake of ours with one backend leaves the others to theirs.
            courier.stopped = f"{type(exc).__name__}: {exc}"

    async def _pause(self, seconds: float) -> None:
        """Wait; the order to come to an end cuts it short once."""
        if self.closing.is_set():
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own.

    An event loop looks up names of hosts in its executor; the usual one is waited for when the
    process ends, however long a lookup hangs.
    """

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function."""
        future: Future[Any] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*args, **kwargs))
                except BaseException as exc:
                    future.set_exception(exc)

        Thread(target=work, name="kaizen-lookup", daemon=True).start()
        return future


def new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop that keeps no process from ending."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(DaemonThreads())
    return loop
