from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.gate import SequentialTest, TaskDraws
from pytest_kaizen.models import Outcome

CASES = [f"case{n}" for n in range(12)]


def test_a_round_holds_every_case_once() -> None:
    order = list(islice(TaskDraws(CASES).schedule(), 24))
    assert sorted(case for case, sample in order if sample == 0) == sorted(CASES)
    assert [sample for _, sample in order] == [0] * 12 + [1] * 12
    assert [case for case, _ in order[:12]] != [case for case, _ in order[12:]]


def test_the_order_depends_on_ids_and_seed_alone() -> None:
    order = list(islice(TaskDraws(CASES, seed=3).schedule(), 24))
    assert list(islice(TaskDraws(reversed(CASES), seed=3).schedule(), 24)) == order
    assert list(islice(TaskDraws(CASES, seed=4).schedule(), 24)) != order
    # The same in every process and on every platform.
    assert [case for case, _ in islice(TaskDraws("abcdef", seed=0).schedule(), 6)] == list("cdbafe")


@given(st.randoms(use_true_random=False))
def test_releases_in_schedule_order_whatever_the_arrival(rng: random.Random) -> None:
    draws = TaskDraws(CASES)
    order = list(islice(draws.schedule(), 36))
    values = {key: index / 36 for index, key in enumerate(order)}
    arrivals = list(values)
    rng.shuffle(arrivals)
    released = [value for key in arrivals for value in draws.add(*key, values[key])]
    assert released == [values[key] for key in order]


def test_a_missing_result_holds_back_what_is_behind_it() -> None:
    draws = TaskDraws(CASES)
    first, second, third = islice(draws.schedule(), 3)
    assert draws.add(*second, 0.2) == []
    assert draws.add(*third, None) == []
    assert draws.add(*first, 0.1) == [0.1, 0.2, None]


def test_bad_calls() -> None:
    with pytest.raises(ValueError, match="a task without cases has no draws"):
        TaskDraws([])
    with pytest.raises(ValueError, match="the ids of a task's cases must differ"):
        TaskDraws(["a", "a"])
    draws = TaskDraws(["a"])
    draws.add("a", 0, 1.0)
    with pytest.raises(ValueError, match="sample 0 of 'a' was given before"):
        draws.add("a", 0, 1.0)
    with pytest.raises(ValueError, match="'b' is not a case of this task"):
        draws.add("b", 0, 1.0)


def _decided(ones: int, cases: int) -> tuple[float, float]:
    """Chance of a wrong pass and fail over one round of pass/fail cases, bar at their mean, exactly.

    The wealth depends on the counts alone, so a walk over (ones drawn, zeros drawn) is exact.
    """
    wrong = {Outcome.PASS: 0.0, Outcome.FAIL: 0.0}
    chances = {0: 1.0}
    for drawn in range(cases):
        following: dict[int, float] = {}
        for seen, chance in chances.items():
            up = (ones - seen) / (cases - drawn)
            for now, share in ((seen + 1, up), (seen, 1 - up)):
                if share > 0:
                    following[now] = following.get(now, 0.0) + chance * share
        chances = {}
        for seen, chance in following.items():
            test = SequentialTest(ones / cases)
            for score in [1.0] * seen + [0.0] * (drawn + 1 - seen):
                test.update(score)
            wealth = test._history[-1]
            if wealth[0] >= 20:
                wrong[Outcome.PASS] += chance
            elif wealth[1] >= 20:
                wrong[Outcome.FAIL] += chance
            else:
                chances[seen] = chance
    return wrong[Outcome.PASS], wrong[Outcome.FAIL]


@pytest.mark.parametrize("cases", [2, 3, 5, 8, 13, 24])
def test_exact_error_within_a_round_of_pass_fail_cases(cases: int) -> None:
    errors = [_decided(ones, cases) for ones in range(1, cases)]
    assert max(passed for passed, _ in errors) <= 0.05
    assert max(failed for _, failed in errors) <= 0.05


def _sorted_means(rng: random.Random) -> list[float]:
    return sorted(rng.betavariate(0.6, 0.4) for _ in range(60))


def _clustered_means(_: random.Random) -> list[float]:
    return [0.95] * 20 + [0.2] * 20 + [0.7] * 20


@pytest.mark.parametrize("means_of", [_sorted_means, _clustered_means])
def test_cases_in_file_order_make_no_wrong_verdicts(means_of: Callable[[random.Random], list[float]]) -> None:
    outcomes = []
    for seed in range(300):
        rng = random.Random(seed)
        means = means_of(rng)
        ids = [f"{index:03}" for index in range(len(means))]
        draws = TaskDraws(ids, seed=seed)
        test = SequentialTest(math.fsum(means) / len(means))
        for sample in range(4):
            for case, mean in zip(ids, means, strict=True):
                for value in draws.add(case, sample, float(rng.random() < mean)):
                    assert value is not None
                    test.update(value)
        outcomes.append(test.outcome)
    assert outcomes.count(Outcome.PASS) / 300 <= 0.07
    assert outcomes.count(Outcome.FAIL) / 300 <= 0.07


def test_the_file_order_would_make_them() -> None:
    # The control: what the random order protects from.
    test = SequentialTest(0.5)
    for value in [1.0] * 30 + [0.0] * 30:
        test.update(value)
    assert test.outcome is Outcome.PASS
