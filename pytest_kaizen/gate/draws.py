"""The draws of a gate: in which order samples enter its test, and how many it takes to tell a difference.

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

How many draws a gate needs is told from scores that were seen before, by playing the gate's own test
on resampled ones (the bootstrap: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993,
chapter 25 on sample sizes): how many it takes until the right verdict, in the share of plays that is
asked for. No formula for the variance of a mean would do, because the test stops by itself and pays
for the right to.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..models import Outcome
from .betting import SequentialTest

#: A play that has no verdict after so many draws counts as without one.
LIMIT = 5000
_PLAYS = 200

Scores = Mapping[str, Sequence[float]]


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


class Spread(NamedTuple):
    """Where the differences between scores come from.

    Attributes:
        mean: Over cases, each counted alike.
        between: The variance of the cases' own means.
        within: The variance of samples of one case; None when no case has two.
    """

    mean: float
    between: float
    within: float | None


def spread(cases: Scores) -> Spread:
    """Split the variance of scores into that between and that within cases.

    One-way random effects by analysis of variance, for unequal numbers of samples (Searle, Casella
    and McCulloch, *Variance Components*, 1992, section 3.6). Where no case has two samples, all of
    it counts as between cases.

    Args:
        cases: The scores of each case's samples, at least one each.

    Raises:
        ValueError: No case.
    """
    if not cases:
        raise ValueError("there are no scores to look at")
    means = [math.fsum(scores) / len(scores) for scores in cases.values()]
    mean = math.fsum(means) / len(means)
    counts = [len(scores) for scores in cases.values()]
    total, groups = sum(counts), len(counts)
    inside = math.fsum(
        (score - own) ** 2 for own, scores in zip(means, cases.values(), strict=True) for score in scores
    )
    within = inside / (total - groups) if total > groups else None
    if groups == 1:
        return Spread(mean, 0.0, within)
    weighted = math.fsum(count * own for count, own in zip(counts, means, strict=True)) / total
    across = math.fsum(count * (own - weighted) ** 2 for count, own in zip(counts, means, strict=True))
    typical = (total - sum(count * count for count in counts) / total) / (groups - 1)
    between = (across / (groups - 1) - (within or 0.0)) / typical
    return Spread(mean, max(between, 0.0), within)


def bar_draws(
    cases: Scores,
    detect: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    seed: int = 0,
    limit: int = LIMIT,
) -> int | None:
    """Say how many draws a gate on a mean needs when the mean is ``detect`` away from the bar.

    A draw is one sample of a case picked at random. Bars on both sides of the mean are played, as
    far as they lie in (0, 1); the slower verdict counts.

    Args:
        cases: The scores of each case's samples.
        detect: The difference, in (0, 1).
        confidence: Of the gate.
        power: The share of plays that must come to the right verdict within the draws.
        seed: Of the plays.
        limit: A play that has no verdict after so many draws counts as without one.

    Returns:
        The draws; None when ``limit`` would not do.

    Raises:
        ValueError: No bar that far from the mean lies in (0, 1).
    """
    pools = [list(scores) for scores in cases.values()]
    mean = spread(cases).mean
    sides = [(mean - detect, Outcome.PASS), (mean + detect, Outcome.FAIL)]
    inside = [(bar, right) for bar, right in sides if 0 < bar < 1]
    if not inside:
        raise ValueError(
            f"no bar lies {detect:g} away from the mean of {mean:.2f}; give a smaller difference"
        )

    def draw(rng: random.Random) -> float:
        return rng.choice(rng.choice(pools))

    needs = [_draws(draw, bar, right, confidence, power, seed, limit) for bar, right in inside]
    known = [need for need in needs if need is not None]
    return max(known) if len(known) == len(needs) else None


def paired_cases(
    cases: Scores,
    detect: float,
    *,
    samples: int = 1,
    confidence: float = 0.95,
    power: float = 0.8,
    seed: int = 0,
) -> int | None:
    """Say how many cases a gate with ``max_drop=detect`` needs to pass when nothing has changed.

    Each draw is a case's mean now against its mean in the baseline, both resampled from that
    case's scores, so that only the variance within cases counts.

    Args:
        cases: The scores of each case's samples; cases with one sample are left out.
        detect: The fall that must not pass, in (0, 1).
        samples: Samples of a case, now and in the baseline.
        confidence: Of the gate.
        power: The share of plays that must pass.
        seed: Of the plays.

    Returns:
        The cases; None when ``LIMIT`` would not do.

    Raises:
        ValueError: No case has two samples.
    """
    pools = [list(scores) for scores in cases.values() if len(scores) > 1]
    if not pools:
        raise ValueError("no case has two samples, so how much a case varies by itself is not known")

    def draw(rng: random.Random) -> float:
        pool = rng.choice(pools)
        now, before = (sum(rng.choices(pool, k=samples)) / samples for _ in range(2))
        # Among few scores, resampled ones differ less than new ones would; this makes up for it.
        difference = (now - before) * math.sqrt(len(pool) / (len(pool) - 1))
        return min(max((1 + difference) / 2, 0.0), 1.0)

    return _draws(draw, (1 - detect) / 2, Outcome.PASS, confidence, power, seed)


def _draws(
    draw: Callable[[random.Random], float],
    bar: float,
    right: Outcome,
    confidence: float,
    power: float,
    seed: int,
    limit: int = LIMIT,
) -> int | None:
    """Find the number of draws within which a share of plays comes to the right verdict."""
    wanted = math.ceil(power * _PLAYS)
    taken: list[int] = []
    for play in range(_PLAYS):
        if len(taken) + _PLAYS - play < wanted:
            return None
        rng = random.Random(f"{seed}:{play}")
        test = SequentialTest(bar, confidence)
        while test.outcome is None and len(test.draws) < limit:
            test.update(draw(rng))
        if test.outcome is right:
            taken.append(len(test.draws))
    return sorted(taken)[wanted - 1] if len(taken) >= wanted else None
