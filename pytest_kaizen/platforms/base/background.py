"""An event loop in a thread of its own, for clients that are called without ``await``.

One implementation then serves both kinds of client, and both keep a deadline that covers the whole
call: blocking sockets have none, only one for each single read.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .connections import close_all

T = TypeVar("T")

_STOP_S = 1.0


class BackgroundLoop:
    """Runs coroutines in a daemon thread, which starts with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._of_parents: list[asyncio.AbstractEventLoop | None] = []
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; another one after a fork, which no thread survives."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="kaizen-http", daemon=True
                )
                self._thread.start()
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
        """Close all connections, stop the thread and close its loop; a later call starts anew."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(close_all(), loop).result(_STOP_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_S)
        if not thread.is_alive():
            loop.close()

    def _begin_anew(self) -> None:
        # In a child no other thread is left, neither to run the loop nor to give the lock back. The
        # loop is kept: its end would complain of connections that are the parent's to close.
        self._lock = threading.Lock()
        self._of_parents.append(self._loop)
        self._loop = self._thread = None


BACKGROUND = BackgroundLoop()
