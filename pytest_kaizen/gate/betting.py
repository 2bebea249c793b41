"""The sequential test: a mean of [0, 1] draws against a bar, valid whenever one stops looking.

Betting as in Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*
(JRSS-B 86, 2024). Two gamblers start with one unit each; one bets that the mean is above the bar,
the other that it is below. A gambler who is wrong reaches a wealth of ``1 / alpha`` with a
probability of at most ``alpha``, ever (Ville's inequality), so the first to get there has proved
the point, at any stopping time.

A gambler against "the mean is <= m" may stake any fraction ``c`` of the most that cannot ruin him,
which multiplies his wealth by ``1 + c * (x / m - 1)``. He splits his unit over a fixed grid of
fractions and lets each grow: a discrete universal portfolio (Cover 1991). His bet on a draw is then
the mean of the fractions weighted by what each has earned so far, a function of earlier draws
alone. Three things follow that plug-in bets do not give: there is nothing to tune, the wealth does
not depend on the order of the draws, and over whole rounds of cases it stays valid with cases of
any means (see ``draws``).

Several tests of one session make a family, over which the chance of a wrong verdict holds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..models import Interval, Outcome

_STEPS = 10
_FRACTIONS = tuple((step + 0.5) / _STEPS for step in range(_STEPS))
#: Interval ends are searched to this precision, and rounded outwards.
_PRECISION = 1e-4


class Verdict(NamedTuple):
    """What a sequential test came to.

    Attributes:
        outcome: ``pass`` (the mean is above the bar), ``fail`` (below it) or ``undecided``.
        samples: The draws it took.
        interval: The anytime-valid confidence interval of the mean at that point. It is two-sided,
            so that it may reach a little past a bar that the test has decided.
    """

    outcome: Outcome
    samples: int
    interval: Interval


class _Wealth:
    """The wealth of a gambler who bets that the mean is above a bar in [0, 1]."""

    __slots__ = ("_factors", "_shares", "total")

    def __init__(self, bar: float) -> None:
        # No finite stake risks anything against a mean of 0: one draw above it settles the matter.
        self._factors = [(1 - fraction, fraction / bar) for fraction in _FRACTIONS] if bar > 0 else None
        self._shares = [1 / _STEPS] * _STEPS
        self.total = 1.0

    def update(self, score: float) -> None:
        if self._factors is None:
            self.total = math.inf if score > 0 else self.total
            return
        self._shares = [
            share * (stay + slope * score)
            for share, (stay, slope) in zip(self._shares, self._factors, strict=True)
        ]
        self.total = sum(self._shares)


class SequentialTest:
    """A test that is fed draw by draw.

    Args:
        bar: The value that the mean is compared with, in [0, 1].
        confidence: One minus the error allowed to each of the two wrong verdicts, in (0, 1).

    Attributes:
        outcome: The verdict at ``confidence``, None while there is none; the first one stays.
        draws: What was fed.

    Feeding may go on after a verdict: ``verdict`` can then be asked at a stricter level, as the
    correction for several gates needs it.

    Raises:
        ValueError: A bar or confidence out of range.
    """

    def __init__(self, bar: float, confidence: float = 0.95) -> None:
        if not 0 <= bar <= 1:
            raise ValueError(f"bar must lie in [0, 1] (found {bar:g})")
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1 (found {confidence:g})")
        self.bar = bar
        self.confidence = confidence
        self.outcome: Outcome | None = None
        self.draws: list[float] = []
        self._above = _Wealth(bar)
        self._below = _Wealth(1 - bar)
        self._history: list[tuple[float, float]] = []
        self._best = (1.0, 1.0)

    def update(self, score: float) -> Outcome | None:
        """Take one draw and return the verdict, None while there is none.

        Raises:
            ValueError: A score outside [0, 1].
        """
        if not 0 <= score <= 1:
            raise ValueError(f"a draw must lie in [0, 1] (found {score})")
        self._above.update(score)
        self._below.update(1 - score)
        wealth = (self._above.total, self._below.total)
        self.draws.append(score)
        self._history.append(wealth)
        self._best = (max(self._best[0], wealth[0]), max(self._best[1], wealth[1]))
        if self.outcome is None:
            alpha = 1 - self.confidence
            self.outcome = _crossed(wealth, alpha, alpha)
        return self.outcome

    @property
    def p_pass(self) -> float:
        """The anytime-valid p-value of "the mean is at or below the bar"."""
        return 1 / self._best[0]

    @property
    def p_fail(self) -> float:
        """The anytime-valid p-value of "the mean is at or above the bar"."""
        return 1 / self._best[1]

    def verdict(self, *, alpha_pass: float | None = None, alpha_fail: float | None = None) -> Verdict:
        """Give the first verdict that the draws came to.

        Args:
            alpha_pass: The error allowed to a wrong ``pass``; ``1 - confidence`` by default.
            alpha_fail: The error allowed to a wrong ``fail``; likewise.
        """
        alpha_pass = 1 - self.confidence if alpha_pass is None else alpha_pass
        alpha_fail = 1 - self.confidence if alpha_fail is None else alpha_fail
        outcome, count = Outcome.UNDECIDED, len(self.draws)
        for number, wealth in enumerate(self._history, 1):
            if (crossed := _crossed(wealth, alpha_pass, alpha_fail)) is not None:
                outcome, count = crossed, number
                break
        return Verdict(outcome, count, confidence_interval(self.draws[:count], self.confidence))


def sequential_verdict(scores: Iterable[float], bar: float, confidence: float = 0.95) -> Verdict:
    """Test the mean of scores against a bar, reading no further than the verdict needs.

    For draws with a common mean given the earlier ones (independent draws, or cases in random
    order), a wrong ``pass`` has a probability of at most ``1 - confidence`` however long one
    reads, and so has a wrong ``fail``. When the mean equals the bar, each verdict has.

    Args:
        scores: Draws in [0, 1].
        bar: The value that the mean is compared with, in [0, 1].
        confidence: In (0, 1).

    Raises:
        ValueError: A score, bar or confidence out of range.
    """
    test = SequentialTest(bar, confidence)
    for score in scores:
        if test.update(score) is not None:
            break
    return test.verdict()


def confidence_interval(draws: Sequence[float], confidence: float = 0.95) -> Interval:
    """Give the interval that a confidence sequence has reached after these draws.

    It holds all means that neither gambler, each at half the error, has refuted with his wealth
    after the last draw, so the interval covers the true mean at every stopping time at once with
    probability ``confidence``. It always holds the mean of the draws. Without draws: [0, 1].
    """
    wanted = 2 / (1 - confidence)
    high = 1 - _lower_end([1 - draw for draw in draws], wanted)
    return Interval(_lower_end(draws, wanted), high)


def _lower_end(draws: Sequence[float], wanted: float) -> float:
    """Find the greatest mean, to the precision, below which all are refuted."""
    # Each factor falls as the tested mean rises, so wealth does too: bisection is exact.
    refuted, kept = 0.0, sum(draws) / len(draws) if draws else 0.0
    while kept - refuted > _PRECISION:
        middle = (refuted + kept) / 2
        if _is_refuted(draws, middle, wanted):
            refuted = middle
        else:
            kept = middle
    return refuted


def _is_refuted(draws: Sequence[float], mean: float, wanted: float) -> bool:
    wealth = 0.0
    for fraction in _FRACTIONS:
        stay, slope = 1 - fraction, fraction / mean
        wealth += math.prod([stay + slope * draw for draw in draws]) / _STEPS
        if wealth >= wanted:
            return True
    return False


def _crossed(wealth: tuple[float, float], alpha_pass: float, alpha_fail: float) -> Outcome | None:
    if wealth[0] >= 1 / alpha_pass:
        return Outcome.PASS
    if wealth[1] >= 1 / alpha_fail:
        return Outcome.FAIL
    return None


class Family:
    """Gates whose errors hold over all of them at once, decided while their samples are drawn.

    Holm's step-down procedure (Holm 1979), once over the gates' "passes" and once over their
    "fails": the chance that any gate passes wrongly is at most one minus the family's confidence,
    and so is the chance that any fails wrongly. It needs no independence. Since the p-values are
    valid whenever one looks, it may be asked after every draw, and a gate that is not tested yet
    counts as one without evidence: what is decided early stays decided. One gate alone is decided
    as without a family.

    Args:
        confidences: What each gate of the family states, in (0, 1).

    Attributes:
        size: The number of gates.
        confidence: Of the family: the least that a gate states.
    """

    def __init__(self, confidences: Sequence[float]) -> None:
        self.size = len(confidences)
        self.confidence = min(confidences, default=1.0)
        self._tests: dict[str, tuple[SequentialTest, ...]] = {}
        self._lock = threading.Lock()

    def enter(self, owner: str, *tests: SequentialTest) -> None:
        """Let the tests of a case or a task take part, in place of those it had (a rerun).

        Raises:
            ValueError: More tests than the family has gates.
        """
        with self._lock:
            others = sum(len(found) for name, found in self._tests.items() if name != owner)
            if others + len(tests) > self.size:
                raise ValueError(f"a family of {self.size} gates has no room for {others + len(tests)} tests")
            self._tests[owner] = tests

    def is_decided(self, test: SequentialTest) -> bool:
        """Whether there is a verdict at the level that the family allows."""
        alpha_pass, alpha_fail = self._levels(test)
        return test.p_pass <= alpha_pass or test.p_fail <= alpha_fail

    def verdict(self, test: SequentialTest) -> Verdict:
        """Give the verdict of a test that takes part, as far as its draws went."""
        alpha_pass, alpha_fail = self._levels(test)
        return test.verdict(alpha_pass=alpha_pass, alpha_fail=alpha_fail)

    def _levels(self, test: SequentialTest) -> tuple[float, float]:
        with self._lock:
            tests = [other for found in self._tests.values() for other in found]
        # Gates may state different confidences, so each p-value is measured by its own gate's error.
        alpha = 1 - test.confidence
        share_pass = self._share([other.p_pass / (1 - other.confidence) for other in tests])
        share_fail = self._share([other.p_fail / (1 - other.confidence) for other in tests])
        return alpha * share_pass, alpha * share_fail

    def _share(self, p_values: Sequence[float]) -> float:
        """Find the share of its error at or below which Holm rejects."""
        share = 1 / max(self.size, 1)
        for rejected, p_value in enumerate(sorted(p_values)):
            step = 1 / (self.size - rejected)
            if p_value > step:
                break
            share = step
        return share


def is_decided(test: SequentialTest, family: Family | None) -> bool:
    """Whether a test has its verdict, in its family or, without one, alone."""
    return test.outcome is not None if family is None else family.is_decided(test)


def verdict_of(test: SequentialTest, family: Family | None) -> Verdict:
    """Give the verdict of a test, in its family or, without one, alone."""
    return test.verdict() if family is None else family.verdict(test)
