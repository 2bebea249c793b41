"""One line now and then while a long run goes on: how far it is, and what it has cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..models import Case

#: Seconds between two lines.
EVERY_S = 20.0


class Progress:
    """Counts what ends, and says so at most every ``EVERY_S`` seconds.

    Args:
        say: Prints a line.
        clock: Gives the time in seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._last = clock()
        self._cases: set[str] = set()
        self._samples = 0
        self._costs: list[float] = []

    def count(self, case: Case, collected: int) -> None:
        """Take in a case that has ended, of so many; a rerun is no further case, and costs again."""
        self._cases.add(case.id)
        self._samples += len(case.samples)
        self._costs += [s.cost_usd for sample in case.samples for s in sample.trace.spans if s.cost_usd]
        if self._clock() - self._last >= EVERY_S:
            self._last = self._clock()
            spent = f", ${math.fsum(self._costs):.2f}" if self._costs else ""
            samples = f"{self._samples} sample{'s' * (self._samples != 1)}"
            self._say(f"kaizen: {len(self._cases)} of {collected} cases, {samples}{spent}")
