"""Sends what is owed to several backends at once, each at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Any

from ...errors import KaizenError
from ...store import Store
from .backend import Backend
from .courier import Courier

#: Seconds between two looks at an outbox that had nothing.
_LOOK_S = 0.25


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
