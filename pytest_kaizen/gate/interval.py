"""The interval shown beside a mean when no sequential test decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from ..models import Interval


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Give an interval for the mean of independent scores in [0, 1], None without scores.

    Wilson's score interval (Wilson 1927): all means ``m`` whose distance from the observed mean is
    at most ``z`` standard errors. No variable in [0, 1] with mean ``m`` has a variance above
    ``m * (1 - m)``, so what is exact for pass/fail scores is wider than need be for others. It has a
    width at means of 0 and 1 and for a single score. It is for a number of scores fixed beforehand.

    Args:
        values: Scores in [0, 1].
        confidence: In (0, 1).
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = z * z / n
    centre = (mean + share / 2) / (1 + share)
    half = z / (1 + share) * math.sqrt(max(mean * (1 - mean), 0.0) / n + share / (4 * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
