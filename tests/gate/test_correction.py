from __future__ import annotations

import random

import pytest

from pytest_kaizen.gate import Family, SequentialTest, is_decided, verdict_of
from pytest_kaizen.models import Outcome


def _fed(scores: list[float], bar: float = 0.8, confidence: float = 0.95) -> SequentialTest:
    test = SequentialTest(bar, confidence)
    for score in scores:
        test.update(score)
    return test


def _outcomes(*tests: SequentialTest, size: int | None = None) -> list[Outcome]:
    family = Family([tests[0].confidence] * (size or len(tests)))
    family.enter("case", *tests)
    assert [family.is_decided(test) for test in tests] == [
        family.verdict(test).outcome is not Outcome.UNDECIDED for test in tests
    ]
    return [family.verdict(test).outcome for test in tests]


def test_one_gate_is_decided_as_without() -> None:
    test = _fed([1.0] * 30)
    family = Family([0.95])
    family.enter("case", test)
    assert verdict_of(test, family) == verdict_of(test, None) == test.verdict()
    assert is_decided(test, family) is is_decided(test, None) is True


def test_a_gate_that_passes_alone_may_need_more_draws_in_a_family() -> None:
    tests = [_fed([1.0] * 20), *(_fed([0.8] * 20) for _ in range(5))]
    assert tests[0].outcome is Outcome.PASS
    assert _outcomes(*tests) == [Outcome.UNDECIDED] * 6


def test_sure_gates_leave_the_level_to_the_others() -> None:
    # Step-down: 0.05 / 2 for the sure one, then 0.05 for the other; Bonferroni would keep 0.025.
    sure, close = _fed([1.0] * 60), _fed([1.0] * 20)
    assert 0.025 < close.p_pass <= 0.05
    assert _outcomes(close, sure) == [Outcome.PASS, Outcome.PASS]


def test_a_gate_that_is_not_tested_yet_counts_as_one_without_evidence() -> None:
    close = _fed([1.0] * 20)
    assert _outcomes(close, size=1) == [Outcome.PASS]
    assert _outcomes(close, size=2) == [Outcome.UNDECIDED]
    assert _outcomes(close, _fed([1.0] * 60), size=3) == [Outcome.UNDECIDED, Outcome.PASS]


def test_passes_and_fails_are_families_of_their_own() -> None:
    good, bad = _fed([1.0] * 60), _fed([0.0] * 60)
    assert _outcomes(good, bad) == [Outcome.PASS, Outcome.FAIL]


def test_each_gate_is_measured_by_the_error_that_it_states() -> None:
    family = Family([0.9, 0.99])
    lax, strict = _fed([1.0] * 22, confidence=0.9), _fed([1.0] * 22, confidence=0.99)
    family.enter("case", lax, strict)
    assert 0.02 < lax.p_pass == strict.p_pass <= 0.05
    assert [family.is_decided(lax), family.is_decided(strict)] == [True, False]
    assert (family.size, family.confidence) == (2, 0.9)


def test_a_case_that_is_run_again_is_judged_by_its_last_tests() -> None:
    family = Family([0.95])
    first, second = _fed([0.0] * 60), _fed([1.0] * 60)
    family.enter("case", first)
    with pytest.raises(ValueError, match="a family of 1 gates has no room for 2 tests"):
        family.enter("another", second)
    family.enter("case", second)
    assert family.verdict(second).outcome is Outcome.PASS


def test_false_alarms_over_twenty_gates_stay_rare() -> None:
    alone = together = 0
    for seed in range(60):
        rng = random.Random(seed)
        tests = [_fed([float(rng.random() < 0.5) for _ in range(100)], bar=0.5) for _ in range(20)]
        alone += any(test.outcome is Outcome.FAIL for test in tests)
        together += Outcome.FAIL in _outcomes(*tests)
    assert alone >= 20
    assert together <= 6
