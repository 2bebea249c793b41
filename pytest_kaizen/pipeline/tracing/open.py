"""A trace under way, wherever it is: a test's sample, one of its own, or none that is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ...capture.wire import describe
from ...errors import KaizenError, ScoreError
from ...models import Score, ScoreSource
from ..live import LiveSample, current, current_sample
from .origin import Origin
from .process import Process, current_process
from .sinks import Kept

_log = logging.getLogger("pytest_kaizen")
Server = tuple[str | None, str | None]


class OpenTrace:
    """What a call or a block belongs to.

    Within a test that is that test's sample, within a block the block's trace; elsewhere outside
    pytest it is a trace of its own, which ``finish`` keeps. Within pytest but outside a recorded
    test nothing is kept.

    Args:
        live: The trace; None where nothing is kept.
        process: What keeps it, where it is one of its own.
        origin: Where its prompt stands.
        server: The key and the URL that were given for it.
    """

    def __init__(
        self,
        live: LiveSample | None,
        process: Process | None = None,
        origin: Origin | None = None,
        server: Server = (None, None),
    ) -> None:
        self.live = live
        self._process = process
        self._origin = origin
        self._server = server
        self._kept: Kept | None = None

    @property
    def is_own(self) -> bool:
        """Whether the trace begins and ends with this."""
        return self._process is not None

    @property
    def trace_id(self) -> str | None:
        """What the trace is found by; on a server that is known once it was sent."""
        if self._kept is not None:
            return self._kept.trace_id
        return self.live.trace_id if self.live is not None else None

    def entered(self) -> AbstractContextManager[Any]:
        """Let what happens in a block of code belong to the trace."""
        return current(self.live) if self.is_own and self.live is not None else nullcontext()

    def score(self, value: float, name: str) -> None:
        """Give the trace a score.

        Raises:
            ScoreError: A value that is no number in [0, 1].
        """
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ScoreError(f"'{name}': a score is a number in [0, 1] (found {value!r})")
        score = Score(name=name, value=float(value), source=ScoreSource.SDK)
        if self._kept is None:
            if self.live is not None:
                self.live.scores.append(score)
            return
        try:
            self._kept.score(score)
        except KaizenError as exc:
            _log.warning("a score was lost: %s", exc)

    def finish(self, error: BaseException | None) -> None:
        """Keep the trace, if it is one of its own; may take as long as a server does."""
        if self._process is not None and self.live is not None and self._kept is None:
            line = None if error is None else describe(error)
            self._kept = self._process.keep(self.live, line, self._origin, self._server)

    def do_later(self, what: Callable[[], None]) -> None:
        """Have something done when the next trace is kept; nothing where the trace is none of its own."""
        if self._process is not None:
            self._process.later.append(what)

    async def afinish(self, error: BaseException | None) -> None:
        """Do what ``finish`` does without holding up the event loop, also in a task that is cancelled."""
        if not self.is_own:
            return
        import anyio
        import anyio.to_thread

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.finish, error)


def joined() -> OpenTrace | None:
    """Return the trace that is under way in this context; None when there is none."""
    sample = current_sample()
    return None if sample is None else OpenTrace(sample)


def begun(
    name: str, task: str | None, origin: Origin | None = None, server: Server = (None, None)
) -> OpenTrace:
    """Begin a trace outside pytest; within, one that nobody keeps."""
    process = current_process()
    if process is None:
        return OpenTrace(None)
    return OpenTrace(process.begin(name, task), process, origin, server)
