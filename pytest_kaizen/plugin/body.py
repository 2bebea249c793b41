"""The body of a test, run once for each sample of its case, and the cassette of its calls.

pytest plugins for asyncio run a body in a context of their own, perhaps one made before this item,
so a sample becomes current inside the body and not around it.
"""

from __future__ import annotations

import functools
import inspect
import threading
import traceback
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..capture import Redactor
from ..capture.cassettes import Cassette, Matcher, Mode, Tape, cassette_path
from ..config import Config
from ..errors import CassetteError, ReplayError
from ..pipeline import CasePlan, LiveSample
from .case_run import CaseRun

Body = Callable[..., Any]

#: With its own server the test says itself what is answered.
_SCRIPTED = "kaizen_llm"
_CASSETTE = pytest.StashKey[Cassette]()


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


class SessionCassettes:
    """Gives each sample the tape that its calls are replayed from and recorded to.

    Args:
        config: The mode, and what may differ between a request and its record.
        redactor: Takes secrets out of what is kept.
    """

    def __init__(self, config: Config, redactor: Redactor) -> None:
        self._config = config
        self._root = config.root.as_posix().removesuffix("/") + "/"
        ignored = config.cassettes
        self._matcher = Matcher(redactor, ignored.ignore_fields, ignored.ignore_text)

    def begin(self, item: pytest.Item, plan: CasePlan) -> None:
        """Make the cassette of a test that starts, or starts again; calls that are live need none."""
        mode = Mode(plan.record or self._config.record)
        if plan.record is None and _SCRIPTED in getattr(item, "fixturenames", ()):
            mode = Mode.LIVE
        if mode is Mode.LIVE:
            return
        test = _test_name(item)
        path = cassette_path(item.path, test)
        # As text: pathlib takes ten times as long for it.
        name = path.as_posix().removeprefix(self._root)
        item.stash[_CASSETTE] = Cassette(path, name, test, mode, self._matcher)

    def tape(self, item: pytest.Item, sample: int, prompts: Mapping[str, tuple[int, str]]) -> Tape | None:
        """Return what a sample's recorder is to hold as ``tape``; None for a test whose calls are live.

        Args:
            item: The test.
            sample: The sample's number.
            prompts: The prompt versions that it has fetched; looked at with every call.
        """
        cassette = item.stash.get(_CASSETTE, None)
        return cassette.tape(sample, prompts) if cassette is not None else None

    def end(self, item: pytest.Item, error: BaseException | None, *, whole: bool = True) -> str | None:
        """Write what a test recorded, once its samples are scored.

        Args:
            item: The test.
            error: What a sample ended with, be it a skip; None when all of them ran to their end.
            whole: These were all the samples of the test; else, what they did not use is kept.

        Returns:
            What the test is to fail with: a call that could not be replayed, even if the test hid
            it, or a file that cannot be written. None when there is nothing of the kind, or the test
            fails for a reason of its own.
        """
        cassette = item.stash.get(_CASSETTE, None)
        if cassette is None:
            return None
        del item.stash[_CASSETTE]
        try:
            cassette.finish(complete=whole and error is None)
        except CassetteError as exc:
            return str(exc)
        if not cassette.misses or not (error is None or isinstance(error, ReplayError)):
            return None
        return _line_of(error, item.path) + cassette.misses[0]


def _line_of(error: BaseException | None, path: Path) -> str:
    """Say where in the test's file an error came from; through an SDK, its traceback is long."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path.name}:{lines[-1]}: " if lines else ""


def _test_name(item: pytest.Item) -> str:
    """Name a test within its file; not by its node id, to which pytest-xdist adds a group."""
    parts = [node.name for node in item.listchain() if isinstance(node, (pytest.Class, pytest.Item))]
    return "::".join(parts)
