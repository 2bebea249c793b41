from __future__ import annotations

import random

import pytest

from pytest_kaizen.gate import drop_test, sequential_verdict
from pytest_kaizen.gate.draws import bar_draws, paired_cases, spread
from pytest_kaizen.models import GateSpec, Outcome, Scope

COINS = {f"case {n}": [1.0, 0.0] for n in range(10)}
STEADY = {f"case {n}": [0.7, 0.7] for n in range(10)}


def test_spread_by_hand() -> None:
    found = spread({"a": [0.2, 0.4], "b": [0.6, 0.8]})
    assert found.mean == pytest.approx(0.5)
    assert found.within == pytest.approx(0.02)
    assert found.between == pytest.approx((0.16 - 0.02) / 2)


def test_spread_of_single_samples_is_all_between() -> None:
    found = spread({"a": [0.2], "b": [0.6]})
    assert found.within is None
    assert found.between == pytest.approx(0.08)


def test_cases_count_alike_in_the_mean() -> None:
    assert spread({"a": [0.0, 0.0, 0.0], "b": [1.0]}).mean == 0.5


def test_noise_alone_is_no_difference_between_cases() -> None:
    assert spread(COINS).between == 0


def test_spread_recovers_known_variances() -> None:
    rng = random.Random(1)
    cases = {}
    for n in range(2000):
        own = rng.uniform(0.3, 0.7)
        cases[str(n)] = [own + rng.uniform(-0.1, 0.1) for _ in range(rng.randint(1, 4))]
    found = spread(cases)
    assert found.between == pytest.approx(0.4**2 / 12, rel=0.1)
    assert found.within == pytest.approx(0.2**2 / 12, rel=0.1)


def test_no_scores() -> None:
    with pytest.raises(ValueError, match="there are no scores to look at"):
        spread({})


def test_a_smaller_difference_needs_more_draws() -> None:
    far, near = bar_draws(COINS, 0.3), bar_draws(COINS, 0.1)
    assert far is not None
    assert near is not None
    # The need grows with the square of the difference, about: 9 times here.
    assert 6 < near / far < 14


def test_steady_scores_need_fewer_draws_than_coins() -> None:
    steady, coins = bar_draws(STEADY, 0.2), bar_draws(COINS, 0.2)
    assert steady is not None
    assert coins is not None
    assert steady < coins / 2


def test_more_power_and_more_confidence_need_more_draws() -> None:
    plain = bar_draws(COINS, 0.2)
    power = bar_draws(COINS, 0.2, power=0.95)
    confidence = bar_draws(COINS, 0.2, confidence=0.99)
    assert plain is not None
    assert power is not None
    assert confidence is not None
    assert power > plain
    assert confidence > plain


def test_the_draws_do_for_the_share_of_runs_that_was_asked_on_either_side() -> None:
    pool = [1.0] * 17 + [0.0] * 3
    need = bar_draws({str(n): [score] for n, score in enumerate(pool)}, 0.1, power=0.8)
    assert need is not None
    rng = random.Random(5)
    told = {Outcome.PASS: 0, Outcome.FAIL: 0}
    for bar, right in ((0.75, Outcome.PASS), (0.95, Outcome.FAIL)):
        for _ in range(300):
            verdict = sequential_verdict((rng.choice(pool) for _ in range(need)), bar=bar)
            told[right] += verdict.outcome is right
    assert 0.72 < min(told.values()) / 300 < 0.88


def test_a_wrong_verdict_tells_nothing() -> None:
    assert bar_draws(COINS, 0.05, confidence=0.55, power=0.9) is None


def test_a_difference_too_small_for_the_limit() -> None:
    assert bar_draws(COINS, 0.005) is None
    draws = bar_draws(COINS, 0.2)
    assert draws is not None
    assert bar_draws(COINS, 0.2, limit=draws) == draws
    assert bar_draws(COINS, 0.2, limit=draws // 2) is None


def test_only_bars_inside_count() -> None:
    assert bar_draws({"a": [0.95, 0.95]}, 0.1) is not None
    with pytest.raises(ValueError, match=r"no bar lies 0\.8 away from the mean of 0\.50"):
        bar_draws(COINS, 0.8)


def test_the_same_seed_gives_the_same_answer() -> None:
    assert bar_draws(COINS, 0.25, seed=3) == bar_draws(COINS, 0.25, seed=3)


def test_pairs_of_steady_scores_need_fewer_cases() -> None:
    steady, coins = paired_cases(STEADY, 0.2), paired_cases(COINS, 0.2)
    assert steady is not None
    assert coins is not None
    assert steady < coins / 3


def test_two_samples_a_case_are_taken_for_what_they_stand_for() -> None:
    wide = (0.02**0.5, -(0.02**0.5))
    few = paired_cases({str(n): [0.4, 0.6] for n in range(10)}, 0.1)
    many = paired_cases({"a": [0.5 + wide[n % 2] for n in range(200)]}, 0.1)
    assert few is not None
    assert many is not None
    assert few == pytest.approx(many, rel=0.08)


def test_more_samples_need_fewer_pairs() -> None:
    one, four = paired_cases(COINS, 0.2), paired_cases(COINS, 0.2, samples=4)
    assert one is not None
    assert four is not None
    assert four < one


def test_differences_between_cases_do_not_matter_to_pairs() -> None:
    apart = {"low": [0.1, 0.1], "high": [0.9, 0.9]}
    assert paired_cases(apart, 0.2) == paired_cases(STEADY, 0.2)


def test_the_pairs_are_those_of_the_gate() -> None:
    need = paired_cases(STEADY, 0.2)
    assert need is not None
    spec = GateSpec(metric="score", max_drop=0.2, confidence=0.95, scope=Scope.TASK, task="t")
    assert drop_test(spec, {str(n): (0.7, 0.7) for n in range(need)}).outcome is Outcome.PASS
    assert drop_test(spec, {str(n): (0.7, 0.7) for n in range(need - 1)}).outcome is None


def test_pairs_need_two_samples_of_some_case() -> None:
    with pytest.raises(ValueError, match="no case has two samples"):
        paired_cases({"a": [0.5], "b": [0.7]}, 0.1)
