"""Uploads in the background of a session, and ends when the session does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

# Bound at import, so that a test which stops the clock cannot hang us.
from time import monotonic

from ...store import Store
from .backend import Backend
from .dispatch import Dispatch, new_loop

#: Seconds to wait for the writing lock of the store, which is held for less than a millisecond.
_LOCK_S = 5.0
#: Seconds for a cancelled upload to note what arrived.
_GRACE_S = 0.5


class Uploader:
    """Sends what is owed from a daemon thread with an event loop and a store connection of its own.

    Whatever a server does, the process can end: nothing is waited for but within ``close``.

    Args:
        path: The store's file.
        backends: Where to.
        timeout_s: Seconds that ``close`` waits at most.
    """

    def __init__(self, path: Path, backends: Sequence[Backend], timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._backends = backends
        self._lines: list[str] = []
        self._failed: str | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.dispatch: Dispatch | None = None
        self._thread = threading.Thread(target=self._work, name="kaizen-upload", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, *, at_once: bool = False) -> list[str]:
        """Send what there is time for, and return the lines that backends have to say.

        It takes half a second more at most, for noting what arrived.

        Args:
            at_once: Send nothing more.
        """
        if self._thread.ident is None:
            return []
        try:
            deadline = monotonic() + (0.0 if at_once else self._timeout_s)
            # The thread is there after a few milliseconds, or on a machine that has no time for it.
            self._ready.wait(max(_GRACE_S, deadline - monotonic()))
            self._call("closing")
            self._thread.join(max(0.0, deadline - monotonic()))
            if self._thread.is_alive():
                self._call("cancel")
                self._thread.join(_GRACE_S)
        except KeyboardInterrupt:
            self._call("cancel")
        return [*self._lines, *([f"upload: {self._failed}"] if self._failed else [])]

    def _call(self, what: str) -> None:
        loop, dispatch, task = self._loop, self.dispatch, self._task
        if loop is None or dispatch is None or task is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(dispatch.closing.set if what == "closing" else task.cancel)
        except RuntimeError:
            # It was closed in this moment: everything is sent.
            return

    def _work(self) -> None:
        try:
            with (
                Store.open(self._path, timeout=_LOCK_S) as store,
                asyncio.Runner(loop_factory=new_loop) as runner,
            ):
                runner.run(self._send(store))
        except asyncio.CancelledError:
            return
        except Exception as exc:
            # A thread has nobody to raise to, and no upload may break a session.
            self._failed = str(exc) or type(exc).__name__
        finally:
            self._ready.set()

    async def _send(self, store: Store) -> None:
        self.dispatch = Dispatch(store, self._backends, self._lines.append, longest_pause_s=self._timeout_s)
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._ready.set()
        await self.dispatch.run()
