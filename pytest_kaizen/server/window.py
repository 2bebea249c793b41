"""How often something may be done within a time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable

from .problem import Refusal

#: What is counted at one time; beyond that, what was not done for a while is forgotten.
_MOST_KEYS = 10_000


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
        if key not in self._done and len(self._done) >= _MOST_KEYS:
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
