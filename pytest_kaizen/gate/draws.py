"""The order in which the samples of a task's cases enter a sequential test.

Results arrive in file order, or as they get done; easy cases first would decide a third of the
gates wrongly. So the order is fixed before the run: rounds over all cases, each round in a random
order of its own, drawn from a seed and the cases' ids alone.

What the test then says, and why it may:

- About inputs like these: if the cases are a random sample of the inputs that the task will meet,
  the draws of the first round are independent, and the test is exact.
- About this suite (the mean over its cases, each counted alike): at the end of any round the wealth
  is a supermartingale whatever the cases' means, noise and order are, because the product of the
  expected factors of a round is at most what their mean would give (the inequality of arithmetic
  and geometric means). Within a round, drawing without replacement spreads less than drawing with
  it; a wrong verdict was never more likely than with independent draws in exact enumerations over
  pass/fail cases (``tests/gate/test_draws.py``) and on real scores (``tests/bench/verdicts.py``).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator


class TaskDraws:
    """Takes results in any order of arrival and releases draws in the order fixed before the run.

    A draw is one sample of one case. A result that has not arrived holds back all draws behind it.

    Args:
        cases: The ids of the task's cases; their order does not matter.
        seed: Draws another order.

    Raises:
        ValueError: No case, or an id that stands twice.
    """

    def __init__(self, cases: Iterable[str], *, seed: int = 0) -> None:
        self.cases = tuple(sorted(cases))
        if not self.cases:
            raise ValueError("a task without cases has no draws")
        if len(set(self.cases)) < len(self.cases):
            raise ValueError("the ids of a task's cases must differ")
        self._seed = seed
        self._waiting: dict[tuple[str, int], float | None] = {}
        self._schedule = self.schedule()
        self._next = next(self._schedule)

    def schedule(self) -> Iterator[tuple[str, int]]:
        """Yield (case id, sample number from 0) in the order of the draws, without end."""
        sample = 0
        while True:
            # A string seeds alike in every process; hash() would not.
            order = list(self.cases)
            random.Random(f"{self._seed}:{sample}").shuffle(order)
            for case in order:
                yield case, sample
            sample += 1

    def add(self, case: str, sample: int, value: float | None) -> list[float | None]:
        """Take a result and return the draws that it releases, in their order.

        Args:
            case: The case's id.
            sample: The number of its sample, counted from 0.
            value: The sample's value; None if it could not be had.

        Raises:
            ValueError: An unknown case, or a result that was given before.
        """
        key = (case, sample)
        if case not in self.cases:
            raise ValueError(f"'{case}' is not a case of this task")
        if key in self._waiting:
            raise ValueError(f"sample {sample} of '{case}' was given before")
        self._waiting[key] = value
        released = []
        while self._next in self._waiting:
            released.append(self._waiting[self._next])
            self._next = next(self._schedule)
        return released
