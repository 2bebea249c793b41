"""Threads that inherit the context they were started in.

Python below 3.14 starts every thread in an empty context, so that what a thread of a sample calls
would belong to no one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from threading import Thread
from typing import Any

from .patches import Patches
from .recorder import current_place


def carry_context(patches: Patches) -> None:
    """Patch ``Thread.start`` and ``ThreadPoolExecutor.submit`` to run in the caller's context."""
    patches.replace(Thread, "start", _start(Thread.start))
    patches.replace(ThreadPoolExecutor, "submit", _submit(ThreadPoolExecutor.submit))


def _start(original: Callable[[Thread], None]) -> Callable[[Thread], None]:
    @wraps(original)
    def start(self: Thread) -> None:
        if current_place() is None:
            original(self)
            return
        context = copy_context()
        run = self.run

        def run_in_context() -> None:
            # The thread refers to this function and it to the thread: let go.
            vars(self).pop("run", None)
            context.run(run)

        vars(self)["run"] = run_in_context
        try:
            original(self)
        except BaseException:
            vars(self).pop("run", None)
            raise

    return start


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # Also where nothing is recorded: a worker's own context is that of whoever submitted first.
        return original(self, copy_context().run, fn, *args, **kwargs)

    return submit
