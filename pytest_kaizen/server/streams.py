"""Answers that go on for as long as somebody listens: what they wait for, and how many there may be."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from .problem import Refusal

T = TypeVar("T")
#: Of one key at one time: a team behind one key has its pages open, and no program opens more by mistake.
MOST_OF_A_KEY = 30
_RETRY_AFTER_S = "15"


@dataclass
class _Look:
    """A look that somebody waits for, and how many do."""

    task: asyncio.Task[Any]
    waiting: int = 0


class Streams:
    """The streams of one process.

    All who wait for the same thing are told what one look at it found. Nobody looks while nobody waits.

    Args:
        most: Streams of one key at one time.
    """

    def __init__(self, most: int = MOST_OF_A_KEY) -> None:
        self._most = most
        self._open: Counter[str] = Counter()
        self._looks: dict[Hashable, _Look] = {}

    @contextmanager
    def held(self, key_id: str) -> Iterator[None]:
        """Count a stream of a key while it is open.

        Raises:
            Refusal: It is one too many (429); says when to ask again.
        """
        if self._open[key_id] >= self._most:
            raise Refusal(
                429,
                f"this key has {self._most} streams open, the most it may have; close a page that is live",
                headers={"Retry-After": _RETRY_AFTER_S},
            )
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            self._open += Counter()

    async def next(self, what: Hashable, look: Callable[[], T], wait_s: float) -> T:
        """Return what the next look at something finds; all who wait for it share one.

        Args:
            what: What is looked at.
            look: Looks at it; may block. That of whoever is the first to wait is called.
            wait_s: How long the first one waits before.

        Raises:
            Exception: Whatever ``look`` raises, in all who wait.
        """
        shared = self._looks.get(what)
        if shared is None:
            shared = self._looks[what] = _Look(asyncio.create_task(self._look(what, look, wait_s)))
        shared.waiting += 1
        try:
            found: T = await asyncio.shield(shared.task)
            return found
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                self._forget(what, shared.task)
                # Of no effect once it is done.
                shared.task.cancel()

    async def _look(self, what: Hashable, look: Callable[[], T], wait_s: float) -> T:
        await asyncio.sleep(wait_s)
        # Who comes from now on may miss what is seen: the next look is theirs.
        self._forget(what, asyncio.current_task())
        return await run_in_threadpool(look)

    def _forget(self, what: Hashable, task: asyncio.Task[Any] | None) -> None:
        if what in self._looks and self._looks[what].task is task:
            del self._looks[what]
