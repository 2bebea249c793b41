"""The body of a test, run once for each sample of its case.

pytest plugins for asyncio run a body in a context of their own, perhaps one made before this item,
so a sample becomes current inside the body and not around it.
"""

from __future__ import annotations

import functools
import inspect
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ..pipeline import LiveSample
from .case_run import CaseRun

Body = Callable[..., Any]


@contextmanager
def sampled(item: pytest.Item, run: CaseRun) -> Iterator[None]:
    """Let the item's body run as the samples of its case, for the length of the block."""
    if not isinstance(item, pytest.Function):
        yield
        return
    body = item.obj
    item.obj = _wrapped(body, run)
    # pytest leaves this body to unittest, which looks for it at its instance.
    by_unittest = isinstance(item.instance, unittest.IsolatedAsyncioTestCase)
    if by_unittest:
        setattr(item.instance, item.name, item.obj)
    try:
        yield
    finally:
        item.obj = body
        if by_unittest:
            delattr(item.instance, item.name)


def _wrapped(body: Body, run: CaseRun) -> Body:
    if inspect.iscoroutinefunction(body):
        return _async(body, run)
    return _in_threads(body, run) if run.plan.concurrency > 1 else _one_by_one(body, run)


def _lives(run: CaseRun) -> Iterator[LiveSample]:
    """Begin the samples that run on one set of fixtures: all, or one if each is to have its own."""
    while (live := run.begin()) is not None:
        yield live
        if run.plan.isolate:
            return


def _settle(run: CaseRun) -> None:
    __tracebackhide__ = True
    if not run.plan.isolate:
        run.settle()


def _one_by_one(body: Body, run: CaseRun) -> Body:
    @functools.wraps(body)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        result = None
        for live in _lives(run):
            with run.running(live):
                result = body(*args, **kwargs)
            run.end(live)
        _settle(run)
        return result

    return wrapper


def _in_threads(body: Body, run: CaseRun) -> Body:
    @functools.wraps(body)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        ended_by: list[BaseException] = []

        def work() -> None:
            try:
                for live in _lives(run):
                    with run.running(live):
                        body(*args, **kwargs)
                    run.end(live)
            except BaseException as exc:
                ended_by.append(exc)

        # Daemons: a body that hangs must not keep the process alive after Ctrl-C or a timeout.
        workers = min(run.plan.concurrency, run.plan.max_samples)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if ended_by:
            raise ended_by[0]
        _settle(run)

    return wrapper


def _async(body: Body, run: CaseRun) -> Body:
    asks_judge = any(rubric.judged for rubric in run.plan.rubrics)

    @functools.wraps(body)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        ended_by: list[BaseException] = []
        result = None

        async def work(stop: Callable[[], None]) -> None:
            nonlocal result
            try:
                for live in _lives(run):
                    with run.running(live):
                        result = await body(*args, **kwargs)
                    if asks_judge:
                        # The judge takes seconds to answer; the other samples go on meanwhile.
                        await anyio.to_thread.run_sync(run.end, live)
                    else:
                        run.end(live)
            except BaseException as exc:
                # A task group would wrap it, so that pytest no longer knew it, and would drop a
                # cancellation that is not its own, as if the body had ended well.
                ended_by.append(exc)
                stop()

        import anyio
        import anyio.to_thread

        workers = min(run.plan.concurrency, run.plan.max_samples)
        if workers == 1:
            # In the test's own task, as without samples.
            await work(lambda: None)
        else:
            try:
                async with anyio.create_task_group() as tasks:
                    for _ in range(workers):
                        tasks.start_soon(work, tasks.cancel_scope.cancel)
            except BaseExceptionGroup as group:
                # What came from outside the bodies: trio raises Ctrl-C here.
                ended_by.insert(0, group.exceptions[0])
        if ended_by:
            raise ended_by[0]
        _settle(run)
        return result

    return wrapper
