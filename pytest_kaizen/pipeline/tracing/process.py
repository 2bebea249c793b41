"""What a process outside pytest records with, and a trace under way, there or in a test.

The process is opened by its first trace and closed when it ends.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...capture import Capture, Redactor
from ...capture.wire import describe
from ...config import load_config
from ...errors import KaizenError, ScoreError
from ...models import Score, ScoreSource, Trace
from ...platforms.kaizen_ct.client import CTClient
from ...prices import load_prices
from ...store import Store
from ..plan import NO_TASK, CasePlan
from ..run import new_run
from ..sample import LiveSample, current, current_sample
from .sinks import CTSink, Kept, LocalSink, Origin, Sink

_log = logging.getLogger("pytest_kaizen")
#: Set by pytest while a session runs; there only the calls of cases are recorded.
_IN_PYTEST = "PYTEST_VERSION"
#: A program waits for its trace to be sent; what a server does not take in this time stays local.
_SEND_TIMEOUT_S = 10.0

_lock = threading.Lock()
_process: Process | None = None
_refused: tuple[int, Path] | None = None

Server = tuple[str | None, str | None]


class Process:
    """Records the traces of one process, by the ``kaizen.yaml`` of the folder that it works in.

    Args:
        root: That folder.

    Attributes:
        later: What is to be done when the next trace is kept, or the process ends.

    Raises:
        ConfigError: A setting is wrong.
    """

    def __init__(self, root: Path) -> None:
        self.pid = os.getpid()
        self._config = load_config(root)
        self._redactor = Redactor(os.environ, self._config.redact)
        self._capture = Capture(self._config.endpoints, price=load_prices(self._config.prices).cost)
        self.later: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self._store: Store | None = None
        self._local: LocalSink | None = None
        self._remote: dict[tuple[str | None, str | None], CTSink] = {}
        self._clients: list[CTClient] = []
        self._run = new_run(self._config).model_copy(update={"kind": "traces"})
        self._capture.install()

    def begin(self, name: str, task: str | None) -> LiveSample:
        """Begin a trace."""
        plan = CasePlan(case_id=name, name=name, task=task or NO_TASK)
        return LiveSample(plan, self._run.id, next(self._numbers))

    def keep(
        self,
        live: LiveSample,
        error: str | None,
        origin: Origin | None,
        server: tuple[str | None, str | None],
    ) -> Kept | None:
        """Keep a trace that has ended, without its secrets; None when it could not be kept.

        Args:
            live: The trace.
            error: The exception that ended it.
            origin: Where its prompt stands.
            server: The key and URL that were given for it.
        """
        self._catch_up()
        try:
            trace = self._finished(live, error)
            with self._lock:
                sink = self._sink(server)
            return sink.keep(trace, origin)
        except Exception as exc:
            # The program comes first: it goes on without its trace.
            _log.warning("a trace was lost: %s", exc)
            return None

    def close(self) -> None:
        """End the run and close what is open."""
        self._catch_up()
        with self._lock:
            self._capture.uninstall()
            for client in self._clients:
                client.close()
            self._clients, self._remote = [], {}
            if self._store is not None:
                self._run.finished_at, self._run.status = datetime.now(UTC), "completed"
                self._store.finish_run(self._run)
                self._store.close()
            self._store = self._local = None

    def _catch_up(self) -> None:
        # Another thread may do the same.
        with suppress(IndexError):
            while True:
                self.later.popleft()()

    def _finished(self, live: LiveSample, error: str | None) -> Trace:
        spans = live.recorder.close()
        self._redactor.learn(*live.recorder.secrets)
        return self._redactor.trace(live.trace(spans, error=error))

    def _sink(self, server: tuple[str | None, str | None]) -> Sink:
        key, url = server
        if not (key or os.environ.get(CTClient.key_variable)):
            return self._local_sink()
        if server not in self._remote:
            client = CTClient(key, url, timeout=_SEND_TIMEOUT_S)
            self._clients.append(client)
            self._remote[server] = CTSink(client, self._local_sink)
        return self._remote[server]

    def _local_sink(self) -> LocalSink:
        with self._lock:
            if self._local is None:
                self._store = Store.open(self._config.store)
                self._store.start_run(self._run)
                self._local = LocalSink(self._store, self._run.id)
            return self._local


def current_process() -> Process | None:
    """Return what this process records with; None within pytest, and when the configuration is wrong."""
    global _process, _refused
    if _IN_PYTEST in os.environ:
        return None
    with _lock:
        # A process that was forked has connections and a run of its own.
        if _process is not None and _process.pid == os.getpid():
            return _process
        here = (os.getpid(), Path.cwd())
        if _refused == here:
            return None
        try:
            _process = Process(here[1])
        except Exception as exc:
            _refused = here
            _log.warning("no traces are recorded: %s", exc)
            return None
        return _process


def close_process() -> None:
    """End what this process records with; its next trace opens it anew."""
    global _process
    with _lock:
        process, _process = _process, None
    if process is not None and process.pid == os.getpid():
        process.close()


atexit.register(close_process)


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
