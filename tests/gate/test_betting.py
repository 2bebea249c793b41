from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.gate import SequentialTest, confidence_interval, sequential_verdict
from pytest_kaizen.models import Interval, Outcome

SCORES = st.floats(0, 1)


def _wrong(
    draw: Callable[[random.Random], float], bar: float, *, runs: int, draws: int
) -> tuple[float, float]:
    """Share of runs that pass, and that fail."""
    outcomes = []
    for seed in range(runs):
        rng = random.Random(seed)
        test = SequentialTest(bar)
        for _ in range(draws):
            if test.update(draw(rng)) is not None:
                break
        outcomes.append(test.outcome)
    return outcomes.count(Outcome.PASS) / runs, outcomes.count(Outcome.FAIL) / runs


@pytest.mark.parametrize(
    ("draw", "mean"),
    [
        (lambda rng: float(rng.random() < 0.8), 0.8),
        (lambda rng: float(rng.random() < 0.05), 0.05),
        (lambda rng: rng.random(), 0.5),
        (lambda rng: rng.betavariate(0.2, 0.8), 0.2),
    ],
    ids=["bernoulli 0.8", "bernoulli 0.05", "uniform", "beta"],
)
def test_a_mean_at_the_bar_is_seldom_decided(draw: Callable[[random.Random], float], mean: float) -> None:
    passed, failed = _wrong(draw, mean, runs=400, draws=300)
    # 0.05 plus two standard errors of 400 runs; the true rates lie near 0.03.
    assert passed <= 0.07
    assert failed <= 0.07


def test_a_clear_case_is_decided_rightly() -> None:
    above = _wrong(lambda rng: float(rng.random() < 0.9), 0.7, runs=200, draws=300)
    below = _wrong(lambda rng: float(rng.random() < 0.5), 0.7, runs=200, draws=300)
    assert above[0] >= 0.98
    assert below[1] >= 0.98


@given(st.lists(st.floats(0, 0.79), max_size=200))
def test_never_passes_when_all_scores_are_below_the_bar(scores: list[float]) -> None:
    assert sequential_verdict(scores, bar=0.8).outcome is not Outcome.PASS


@given(st.lists(st.floats(0.8, 1), max_size=200))
def test_never_fails_when_all_scores_are_at_or_above_the_bar(scores: list[float]) -> None:
    assert sequential_verdict(scores, bar=0.8).outcome is not Outcome.FAIL


@given(st.lists(SCORES, max_size=60), st.floats(0.05, 0.95))
def test_mirrored_scores_give_the_mirrored_verdict(scores: list[float], bar: float) -> None:
    here = SequentialTest(bar)
    there = SequentialTest(1 - bar)
    for score in scores:
        here.update(score)
        there.update(1 - score)
    assert here.p_pass == pytest.approx(there.p_fail, rel=1e-6)
    assert here.p_fail == pytest.approx(there.p_pass, rel=1e-6)


@given(st.lists(SCORES, min_size=1, max_size=60))
def test_the_interval_holds_the_mean_whatever_the_order(scores: list[float]) -> None:
    low, high = confidence_interval(scores)
    mean = sum(scores) / len(scores)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1
    assert low < high
    assert confidence_interval(sorted(scores)) == pytest.approx((low, high), abs=1e-3)


@given(st.lists(SCORES, min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_a_bar_outside_the_interval_is_decided(scores: list[float], bar: float) -> None:
    test = SequentialTest(bar)
    for score in scores:
        test.update(score)
    low, high = confidence_interval(scores)
    if bar < low:
        assert test.p_pass <= 0.025 + 1e-9
    if bar > high:
        assert test.p_fail <= 0.025 + 1e-9


def test_the_interval_covers_the_mean_at_all_times_at_once() -> None:
    missed = 0
    for seed in range(100):
        rng = random.Random(seed)
        scores = [float(rng.random() < 0.7) for _ in range(120)]
        intervals = [confidence_interval(scores[:n]) for n in range(10, 121, 10)]
        missed += any(not low <= 0.7 <= high for low, high in intervals)
    assert missed <= 9


def test_reads_no_further_than_needed() -> None:
    read = 0

    def scores() -> Iterator[float]:
        nonlocal read
        while True:
            read += 1
            yield 1.0

    verdict = sequential_verdict(scores(), bar=0.8)
    assert verdict.outcome == "pass"
    assert verdict.samples == read == 20


@pytest.mark.parametrize(
    ("scores", "outcome", "samples"),
    [
        ([1.0] * 40, Outcome.PASS, 20),
        ([0.0] * 40, Outcome.FAIL, 3),
        ([0.8] * 40, Outcome.UNDECIDED, 40),
        ([1.0] * 5, Outcome.UNDECIDED, 5),
        ([], Outcome.UNDECIDED, 0),
    ],
)
def test_outcomes(scores: list[float], outcome: Outcome, samples: int) -> None:
    verdict = sequential_verdict(scores, bar=0.8, confidence=0.95)
    assert (verdict.outcome, verdict.samples) == (outcome, samples)


def test_without_scores_the_interval_is_everything() -> None:
    assert sequential_verdict([], bar=0.8).interval == Interval(0.0, 1.0)


def test_the_first_verdict_stays() -> None:
    test = SequentialTest(0.5)
    outcomes = [test.update(score) for score in [1.0] * 10 + [0.0] * 90]
    assert Outcome.FAIL not in outcomes
    assert outcomes[-1] is test.outcome is Outcome.PASS
    assert test.verdict().samples == outcomes.index(Outcome.PASS) + 1


def test_a_stricter_level_takes_more_draws() -> None:
    test = SequentialTest(0.8)
    for _ in range(60):
        test.update(1.0)
    strict = test.verdict(alpha_pass=0.001, alpha_fail=0.001)
    assert strict.outcome is Outcome.PASS
    assert test.verdict().samples < strict.samples < 60
    assert test.verdict(alpha_pass=1e-9, alpha_fail=1e-9).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("bar", "score", "outcome"),
    [(0.0, 0.1, Outcome.PASS), (0.0, 0.0, None), (1.0, 0.9, Outcome.FAIL), (1.0, 1.0, None)],
)
def test_bars_at_the_ends(bar: float, score: float, outcome: Outcome | None) -> None:
    assert SequentialTest(bar).update(score) is outcome


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_draw_outside_the_unit_interval_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"a draw must lie in \[0, 1\] \(found"):
        SequentialTest(0.5).update(score)


def test_bars_and_confidences_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bar must lie in \[0, 1\] \(found 80\)"):
        sequential_verdict([], bar=80)
    with pytest.raises(ValueError, match=r"confidence must lie between 0 and 1 \(found 95\)"):
        sequential_verdict([], bar=0.8, confidence=95)
