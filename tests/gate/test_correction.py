from __future__ import annotations

import random

from pytest_kaizen.gate import SequentialTest, holm
from pytest_kaizen.models import Outcome


def _fed(scores: list[float], bar: float = 0.8) -> SequentialTest:
    test = SequentialTest(bar)
    for score in scores:
        test.update(score)
    return test


def test_one_gate_is_decided_as_without() -> None:
    test = _fed([1.0] * 30)
    assert holm([test]) == [test.verdict()]


def test_no_gates() -> None:
    assert holm([]) == []


def test_a_gate_that_passes_alone_may_need_more_draws_in_a_family() -> None:
    tests = [_fed([1.0] * 20), *(_fed([0.8] * 20) for _ in range(5))]
    assert tests[0].outcome is Outcome.PASS
    assert [verdict.outcome for verdict in holm(tests)] == [Outcome.UNDECIDED] * 6


def test_sure_gates_leave_the_level_to_the_others() -> None:
    # Step-down: 0.05 / 2 for the sure one, then 0.05 for the other; Bonferroni would keep 0.025.
    sure, close = _fed([1.0] * 60), _fed([1.0] * 20)
    assert 0.025 < close.p_pass <= 0.05
    assert [verdict.outcome for verdict in holm([close, sure])] == [Outcome.PASS, Outcome.PASS]


def test_passes_and_fails_are_families_of_their_own() -> None:
    good, bad = _fed([1.0] * 60), _fed([0.0] * 60)
    assert [verdict.outcome for verdict in holm([good, bad])] == [Outcome.PASS, Outcome.FAIL]


def test_false_alarms_over_twenty_gates_stay_rare() -> None:
    alone = together = 0
    for seed in range(60):
        rng = random.Random(seed)
        tests = [_fed([float(rng.random() < 0.5) for _ in range(100)], bar=0.5) for _ in range(20)]
        alone += any(test.outcome is Outcome.FAIL for test in tests)
        together += any(verdict.outcome is Outcome.FAIL for verdict in holm(tests))
    assert alone >= 15
    assert together <= 6
