"""Several gates in one session: the chance of a wrong verdict anywhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .betting import SequentialTest, Verdict


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
