"""What a server keeps for all of its requests: what keys allow, how much and how often is asked, figures."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..capture import Redactor
from ..capture.build import Price
from ..config import Config
from ..errors import StoreError
from ..store.central import ApiKey, KeyState, Scope
from ..store.workspaces import OpenWorkspace, Workspaces
from .problem import Refusal
from .streams import Streams
from .worker import Worker

if TYPE_CHECKING:
    from .proxy.forward import Proxy

T = TypeVar("T")
_KNOWN_S = 1.0
#: Keys whose allowance is remembered; beyond that, those that are full again are forgotten.
_MOST_ALLOWANCES = 10_000
#: What is counted at one time; beyond that, what was not done for a while is forgotten.
_MOST_COUNTED = 10_000
#: Requests that may wait for servers elsewhere, each in a thread of its own: all, and those of a workspace.
_MOST_ELSEWHERE, _MOST_OF_A_WORKSPACE = 32, 8
#: Seconds; the first are those of a plain read, the last those of a model's long answer.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
FIGURES_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class KeyRefusedError(Exception):
    """A key that is unknown, has expired or was revoked; says which."""


class Grant(NamedTuple):
    """What a valid key allows.

    Attributes:
        key: The key.
        workspace: The one workspace that it is for; it stays open while somebody has this.
    """

    key: ApiKey
    workspace: OpenWorkspace

    def allows(self, scope: Scope) -> bool:
        """Say whether it may do something; no scope includes another."""
        return scope in self.key.scopes


class Grants:
    """Checks keys, and knows for a second what a key allows, so that most requests wait for no disk.

    A key that another process revokes is taken for so long still.

    Args:
        workspaces: Those of the server.
        clock: Gives the time in seconds.
    """

    def __init__(self, workspaces: Workspaces, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspaces = workspaces
        self._clock = clock
        self._known: dict[tuple[bool, bytes], tuple[Grant, float]] = {}

    def known(self, secret: str, *, session: bool = False) -> Grant | None:
        """Return what a key, or a session, allows that was checked just now; None for any other."""
        grant, until = self._known.get((session, _hash(secret)), (None, 0.0))
        return grant if self._clock() < until else None

    def check(self, secret: str, *, session: bool = False) -> Grant:
        """Return what a key allows, or the key of a session.

        Raises:
            KeyRefusedError: It is unknown, has expired or was revoked.
            StoreError: The keys cannot be read.
        """
        now = datetime.now(UTC)
        central = self._workspaces.central
        found = central.sessions.find(secret, now) if session else central.keys.find(secret)
        if found is None:
            raise KeyRefusedError("the session has ended" if session else "the key is not known here")
        state = found.state(now)
        if state is KeyState.EXPIRED:
            raise KeyRefusedError("the key has expired")
        if state is KeyState.REVOKED:
            raise KeyRefusedError("the key was revoked")
        # Once a minute. What only reads works also while nothing can be written.
        with suppress(StoreError):
            central.keys.note_use(found, now)
        grant = Grant(found, self._workspaces.get(found.workspace))
        moment = self._clock()
        # A workspace stays open while somebody knows it.
        known = {key: entry for key, entry in self._known.items() if moment < entry[1]}
        self._known = {**known, (session, _hash(secret)): (grant, moment + _KNOWN_S)}
        return grant

    def forget(self) -> None:
        """Check every key anew: one was revoked here, or a session closed."""
        self._known = {}


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Load:
    """Bounds what is being taken in at one time, so that a burst is refused before memory ends.

    Args:
        limit: Bytes of bodies that may be under way.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count a body while it is being taken in; the only one under way is never too large.

        Raises:
            Refusal: Too much is under way (503).
        """
        if self._bytes and self._bytes + size > self._limit:
            raise Refusal(503, "too much is arriving; send it again", headers={"Retry-After": "1"})
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size


class Elsewhere:
    """Threads for requests that wait for servers elsewhere, apart from those that read the store.

    Args:
        most: Requests that may wait at one time.
        each: Of these, those of one workspace, so that its slow server holds up nobody else's.
    """

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._waiting: dict[str, int] = {}
        self._lock = threading.Lock()

    async def run(self, workspace: str, work: Callable[[], T]) -> T:
        """Do work in a thread and return its result.

        Raises:
            Refusal: Too many requests are waiting, of the workspace (429) or of all (503).
        """
        with self._held(workspace):
            # A limiter of its own: not one of the threads that everything else shares.
            return await run_sync(work, limiter=CapacityLimiter(1))

    @contextmanager
    def _held(self, workspace: str) -> Iterator[None]:
        later = {"Retry-After": "5"}
        with self._lock:
            own = self._waiting.get(workspace, 0)
            if own >= self._each:
                raise Refusal(
                    429,
                    f"{self._each} requests of this workspace wait for servers elsewhere; send it again",
                    headers=later,
                )
            if sum(self._waiting.values()) >= self._most:
                raise Refusal(
                    503, "too many requests wait for servers elsewhere; send it again", headers=later
                )
            self._waiting[workspace] = own + 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[workspace] -= 1
                if not self._waiting[workspace]:
                    del self._waiting[workspace]


class RateLimit:
    """Lets each key make so many requests a second on average, and twice as many at once.

    Args:
        per_s: Requests a second.
        clock: Gives the time in seconds.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(1.0, 2 * per_s)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> None:
        """Count one request.

        Raises:
            Refusal: It is one too many (429); says when the next is taken.
        """
        now = self._clock()
        left, since = self._left.get(key_id, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_s)
        if left < 1:
            wait = math.ceil((1 - left) / self._per_s)
            raise Refusal(
                429,
                f"this key may make {self._per_s:g} requests a second",
                headers={"Retry-After": str(wait)},
            )
        if key_id not in self._left and len(self._left) >= _MOST_ALLOWANCES:
            self._forget_full(now)
        self._left[key_id] = (left - 1, now)

    def _forget_full(self, now: float) -> None:
        self._left = {
            key: (left, since)
            for key, (left, since) in self._left.items()
            if left + (now - since) * self._per_s < self._most
        }


class Window:
    """Lets a thing be done so many times in any stretch of a length, in this process.

    Args:
        most: How many times.
        seconds: In so many seconds.
        clock: Gives the time in seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._done: dict[Hashable, deque[float]] = {}

    def take(self, key: Hashable) -> None:
        """Count one time.

        Raises:
            Refusal: It is one too many (429); says when the next is taken.
        """
        now = self._clock()
        if key not in self._done and len(self._done) >= _MOST_COUNTED:
            self._done = {
                known: times for known, times in self._done.items() if now - times[-1] < self._seconds
            }
        times = self._done.setdefault(key, deque(maxlen=self._most))
        if len(times) == self._most and now - times[0] < self._seconds:
            wait = math.ceil(self._seconds - (now - times[0]))
            raise Refusal(
                429,
                f"{self._most} of these requests in {self._seconds:g} seconds are taken",
                headers={"Retry-After": str(wait)},
            )
        times.append(now)


class Metrics:
    """The figures of one server process; no label holds an id, a key or a text of a client."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        labels = ["method", "path", "status"]
        self.requests = Counter("kaizen_requests", "Requests by operation.", labels, registry=registry)
        self.seconds = Histogram(
            "kaizen_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["method", "path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.open = Gauge("kaizen_requests_open", "Requests under way.", registry=registry)
        self.traces = Counter("kaizen_traces", "Traces that were stored, by way.", ["way"], registry=registry)
        self.lost = Counter(
            "kaizen_traces_lost", "Traces of the proxy that could not be stored.", registry=registry
        )

    def text(self) -> bytes:
        """Return the figures as they are scraped."""
        return generate_latest(self._registry)


@dataclass
class State:
    """What handlers work with.

    Attributes:
        config: The configuration; of most parts ``config.server``.
        workspaces: Its keys and stores.
        grants: Checks keys.
        rate: Counts the requests of each key.
        load: How much is being taken in.
        metrics: What is counted.
        redactor: Takes secrets out of what is kept; each request has one ``apart``.
        price: What a call costs.
        open_proxy: Makes ``proxy``.
        worker: Does what requests leave to be done after them.
        elsewhere: Does what waits for servers elsewhere.
        span_uploads: Counts the uploads of spans to each run of an agent.
        streams: The answers that go on for as long as somebody listens.
        stopping: Set when the server was told to stop: what would go on for ever ends.
        describe: Makes ``openapi``.
    """

    config: Config
    workspaces: Workspaces
    grants: Grants
    rate: RateLimit
    load: Load
    metrics: Metrics
    redactor: Redactor
    price: Price
    open_proxy: Callable[[], Proxy]
    worker: Worker
    elsewhere: Elsewhere = field(default_factory=lambda: Elsewhere(_MOST_ELSEWHERE, _MOST_OF_A_WORKSPACE))
    span_uploads: Window = field(default_factory=lambda: Window(60, 60.0))
    streams: Streams = field(default_factory=Streams)
    stopping: threading.Event = field(default_factory=threading.Event)
    describe: Callable[[], bytes] = bytes

    @cached_property
    def proxy(self) -> Proxy:
        """Passes requests on to model providers; made, and its HTTP client loaded, for the first one."""
        return self.open_proxy()

    @cached_property
    def openapi(self) -> bytes:
        """The OpenAPI document, as JSON; made when it is first asked for."""
        return self.describe()

    async def close(self) -> None:
        """Finish what was accepted."""
        if "proxy" in vars(self):
            await self.proxy.close()
