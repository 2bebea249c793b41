"""An event loop in a thread of its own, for clients that are called without ``await``.

One implementation then serves both kinds of client, and both keep a deadline that covers the whole
call: blocking sockets have none, only one for each single read.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_STOP_S = 2.0


class BackgroundLoop:
    """Runs coroutines in a daemon thread, which starts with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; another one after a fork, which no thread survives."""
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="kaizen-http", daemon=True
                )
                self._thread.start()
                atexit.register(self.stop)
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it returns, or raise what it raises.

        Whatever interrupts the waiting thread, Ctrl-C for instance, cancels the coroutine.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        finally:
            future.cancel()
            # An exception refers to this frame, which would refer to the exception.
            del future

    def stop(self) -> None:
        """Stop the thread and close its loop; a later call starts anew."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_S)
        if not thread.is_alive():
            loop.close()


BACKGROUND = BackgroundLoop()
