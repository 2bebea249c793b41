"""What one client may ask of the server: how much at once, and how often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive

from .problem import Refusal

#: Keys whose allowance is remembered; beyond that, those that are full again are forgotten.
_MOST_KEYS = 10_000


class ClientGoneError(Exception):
    """The client went away before its request had come."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a request's body.

    Args:
        receive: The ASGI function.
        limit: The most bytes that are taken.

    Raises:
        Refusal: It is longer (413).
        ClientGoneError: It ended before its time.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise Refusal(413, f"the body is longer than the {limit} bytes that are taken")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


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
        if key_id not in self._left and len(self._left) >= _MOST_KEYS:
            self._forget_full(now)
        self._left[key_id] = (left - 1, now)

    def _forget_full(self, now: float) -> None:
        self._left = {
            key: (left, since)
            for key, (left, since) in self._left.items()
            if left + (now - since) * self._per_s < self._most
        }
