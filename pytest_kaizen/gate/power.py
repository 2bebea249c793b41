"""How many samples a gate needs to tell a difference, from scores that were seen before.

The answer comes from playing the gate's own test on resampled scores (the bootstrap: Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 25 on sample sizes): how many draws it
takes until the right verdict, in the share of plays that is asked for. No formula for the variance
of a mean would do, because the test stops by itself and pays for the right to.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..models import Outcome
from .betting import SequentialTest

#: A play that has no verdict after so many draws counts as without one.
LIMIT = 5000
_PLAYS = 200

Scores = Mapping[str, Sequence[float]]


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
