"""The statistics, against worked examples and by simulation."""

from __future__ import annotations

import random

import pytest

from pytest_kaizen.models import Interval
from pytest_kaizen.score import IntegerScale, YesNo, agreement, corrected_mean
from pytest_kaizen.score.calibration import mean_difference, weighted_kappa, wilson_interval


def pairs(counts: dict[tuple[float, float], int]) -> list[tuple[float, float]]:
    return [pair for pair, count in counts.items() for _ in range(count)]


def close(interval: Interval | None, low: float, high: float) -> bool:
    return interval is not None and interval == pytest.approx((low, high), abs=5e-4)


# The textbook table: 20 both yes, 15 both no, 5 and 10 apart; kappa 0.4.
TABLE = pairs({(1.0, 1.0): 20, (1.0, 0.0): 5, (0.0, 1.0): 10, (0.0, 0.0): 15})


def test_agreement_on_yes_and_no() -> None:
    found = agreement("faithful", TABLE, YesNo())
    assert found.name == "faithful"
    assert found.accuracy == 0.7
    assert found.kappa == pytest.approx(0.4)
    assert found.bias == pytest.approx(0.1)
    assert found.answers == ["no", "yes"]
    assert found.confusion == [[15, 10], [5, 20]]
    # Newcombe (1998) and R's binom.confint: 35 of 50.
    assert close(found.accuracy_interval, 0.5625, 0.8090)
    # 1 - Wilson(15 of 50) / 0.5
    assert close(found.kappa_interval, 0.1250, 0.6179)
    assert found.kappa_text == "kappa 0.40 [0.12, 0.62]"


def test_weighted_kappa_on_a_scale() -> None:
    # Three answers, one step apart once in four: observed 0.25 / 4, expected by hand 0.375.
    data = [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.5, 1.0)]
    kappa, interval = weighted_kappa(data)
    observed, expected = 0.25 / 4, (1.5 + 2.25) / 4 - 2 * 0.5 * 0.625
    assert kappa == pytest.approx(1 - observed / expected)
    assert kappa is not None
    assert interval is not None
    assert interval.low < kappa < interval.high
    found = agreement("tone", data, IntegerScale(1, 3))
    assert (found.answers, found.accuracy) == (["1", "2", "3"], 0.75)
    assert found.confusion == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


def test_only_answers_that_occur_are_shown() -> None:
    assert agreement("tone", [(0.0, 1.0)], IntegerScale(0, 100)).answers == ["0", "100"]


def test_a_mean_of_votes_counts_as_the_nearest_answer() -> None:
    found = agreement("faithful", [(1.0, 2 / 3), (0.0, 1 / 3), (1.0, 0.5)], YesNo())
    assert (found.accuracy, found.confusion) == (1.0, [[1, 0], [0, 2]])


def test_scores_of_the_whole_are_compared_by_half() -> None:
    found = agreement("score", [(0.9, 0.5), (0.1, 0.49), (0.7, 0.2)], None)
    assert found.answers == ["below 0.5", "0.5 and above"]
    assert found.confusion == [[1, 0], [1, 1]]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_any_difference_kappa_is_not_defined(value: float) -> None:
    found = agreement("faithful", [(value, value)] * 9, YesNo())
    assert (found.kappa, found.kappa_interval) == (None, None)
    assert found.kappa_text == "kappa not defined (all answers are the same)"


def test_full_agreement_is_not_certainty() -> None:
    found = agreement("faithful", pairs({(1.0, 1.0): 5, (0.0, 0.0): 5}), YesNo())
    assert found.kappa == 1.0
    assert found.kappa_interval is not None
    assert found.kappa_interval.high == 1.0
    assert 0.2 < found.kappa_interval.low < 0.6
    assert found.bias_interval.low < -0.2
    assert found.accuracy_interval.low < 0.75


def test_opposite_answers() -> None:
    kappa, interval = weighted_kappa(pairs({(1.0, 0.0): 5, (0.0, 1.0): 5}))
    assert kappa == -1.0
    assert interval is not None
    assert interval.low == -1.0


def test_bias_as_bonett_and_price() -> None:
    # 10 and 5 discordant pairs of 50: (11 - 6) / 52, +- 1.96 * sqrt((17/52 - (5/52)^2) / 52).
    bias, interval = mean_difference(TABLE)
    assert bias == pytest.approx(0.1)
    assert close(interval, 0.0962 - 0.1532, 0.0962 + 0.1532)


@pytest.mark.parametrize(("mean", "n", "low", "high"), [(0.0, 10, 0.0, 0.2775), (1.0, 10, 0.7225, 1.0)])
def test_wilson(mean: float, n: int, low: float, high: float) -> None:
    assert close(wilson_interval(mean, n), low, high)


def test_more_confidence_is_wider() -> None:
    wide, narrow = weighted_kappa(TABLE, 0.99)[1], weighted_kappa(TABLE, 0.8)[1]
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_corrected_mean_takes_the_bias_away() -> None:
    mean, interval = corrected_mean([0.8] * 50, pairs({(0.5, 0.7): 100}))
    assert mean == pytest.approx(0.6)
    assert interval.low < 0.6 < interval.high


def test_the_corrected_mean_stays_a_score() -> None:
    mean, interval = corrected_mean([1.0] * 3, [(1.0, 0.0)] * 3)
    assert (mean, interval.high) == (1.0, 1.0)


def rate(hit: random.Random, human: bool) -> float:
    """A judge that lets a third of the bad ones pass."""
    return float(hit.random() < (0.95 if human else 0.33))


@pytest.mark.parametrize("labels", [30, 150])
def test_intervals_cover_the_truth(labels: int) -> None:
    """A lenient judge: its plain mean is wrong, the corrected one holds its 95 %."""
    rng = random.Random(7)
    good, rounds = 0.7, 400
    corrected = plain = kappas = 0
    yes = good * 0.95 + (1 - good) * 0.33
    true_kappa = 1 - (good * 0.05 + (1 - good) * 0.33) / (good * (1 - yes) + (1 - good) * yes)
    for _ in range(rounds):
        people = [rng.random() < good for _ in range(labels)]
        labelled = [(float(human), rate(rng, human)) for human in people]
        scores = [rate(rng, rng.random() < good) for _ in range(300)]
        interval = corrected_mean(scores, labelled)[1]
        corrected += interval.low <= good <= interval.high
        naive = wilson_interval(sum(scores) / len(scores), len(scores))
        plain += naive.low <= good <= naive.high
        found = weighted_kappa(labelled)[1]
        kappas += found is not None and found.low <= true_kappa <= found.high
    assert corrected / rounds >= 0.93
    assert kappas / rounds >= 0.92
    assert plain / rounds < 0.5
