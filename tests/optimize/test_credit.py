"""The regression that finds lines which help or harm."""

from __future__ import annotations

import random

import pytest

from pytest_kaizen.optimize.skillbook import Observation, line_effects


def test_effects_are_found_through_noise_and_unequal_cases() -> None:
    rng = random.Random(1)
    true = {"good": 0.2, "bad": -0.2, "idle": 0.0}
    observations = []
    for _ in range(400):
        case = rng.randrange(10)
        lines = frozenset(line for line in true if rng.random() < 0.5)
        score = 0.3 + case * 0.03 + sum(true[line] for line in lines) + rng.gauss(0, 0.1)
        observations.append(Observation(lines, f"case {case}", score))
    found = line_effects(observations, list(true))
    assert found == pytest.approx(true, abs=0.04)


def test_little_data_says_little() -> None:
    observations = [Observation(frozenset({"new"}), "a", 1.0), Observation(frozenset(), "a", 0.0)]
    assert 0.0 < line_effects(observations, ["new"])["new"] < 0.35


def test_a_case_that_is_easy_is_no_credit_to_a_line() -> None:
    easy = [Observation(frozenset({"line"}), "easy", 0.6), Observation(frozenset(), "easy", 0.6)] * 5
    hard = [Observation(frozenset(), "hard", 0.4)] * 5
    assert line_effects([*easy, *hard], ["line"])["line"] == pytest.approx(0, abs=0.02)


def test_without_observations_no_line_has_an_effect() -> None:
    assert line_effects([], ["a"]) == {"a": 0.0}
    assert line_effects([Observation(frozenset(), "a", 1.0)], []) == {}
