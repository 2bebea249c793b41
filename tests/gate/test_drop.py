from __future__ import annotations

import random
from typing import Any

import pytest

from pytest_kaizen.gate import (
    case_drop_gate,
    case_rule,
    change_interval,
    change_test,
    drop_gate,
    drop_test,
    without_baseline,
)
from pytest_kaizen.models import GateResult, GateSpec, Outcome, Scope

Pairs = dict[str, tuple[float | None, float]]


def _spec(max_drop: float, confidence: float | None = None) -> GateSpec:
    return GateSpec(metric="score", max_drop=max_drop, confidence=confidence, scope=Scope.TASK, task="t")


def _gate(spec: GateSpec, pairs: Pairs, **more: Any) -> GateResult:
    return drop_gate(spec, pairs, **{"collected": len(pairs), "ran": len(pairs), **more})


def test_a_small_drop_passes_and_names_the_cases() -> None:
    pairs: Pairs = {"a": (0.7, 0.9), "b": (0.9, 0.8), "c": (0.5, 0.55), "d": (0.5, 0.5)}
    result = _gate(_spec(0.05), pairs, new=["z"], removed=["y", "x"])
    assert result.outcome is Outcome.PASS
    assert result.figure == pytest.approx(0.0375)
    assert result.sentence == (
        "score fell by 0.04 [-0.70, 0.72], drop <= 0.05: pass over 4 cases; fell most: a (0.90 to 0.70), "
        "c (0.55 to 0.50); new: z; removed: x, y"
    )


@pytest.mark.parametrize(
    ("now", "outcome"), [(0.75, Outcome.PASS), (0.74, Outcome.FAIL), (0.9, Outcome.PASS)]
)
def test_the_bar_itself_is_met(now: float, outcome: Outcome) -> None:
    assert _gate(_spec(0.05), {"a": (now, 0.8)}).outcome is outcome


def test_a_missing_score_is_undecided_at_best() -> None:
    result = _gate(_spec(0.05), {"a": (0.8, 0.8), "b": (None, 0.8)}, missing=["no reply"])
    assert (result.outcome, result.samples, result.missing) == (Outcome.UNDECIDED, 1, 1)
    assert result.sentence.endswith("undecided over 1 case, 1 missing (no reply)")
    assert _gate(_spec(0.05), {"a": (0.2, 0.8), "b": (None, 0.8)}).outcome is Outcome.FAIL


def test_no_score_at_all_fails() -> None:
    result = _gate(_spec(0.05), {"a": (None, 0.8)}, missing=["no reply"])
    assert result.outcome is Outcome.FAIL
    assert result.sentence == "score drop <= 0.05: fail, nothing was scored, 1 missing (no reply)"


def test_only_new_cases_leave_it_undecided() -> None:
    result = _gate(_spec(0.05), {}, collected=5, ran=5, new=["a", "b", "c", "d", "e"])
    assert result.outcome is Outcome.UNDECIDED
    assert result.sentence == (
        "score drop <= 0.05: undecided: no case stands in the baseline; new: a, b, c and 2 more"
    )


def test_a_part_of_the_suite_decides_nothing() -> None:
    result = _gate(_spec(0.05), {"a": (0.1, 0.9)}, collected=4, ran=1)
    assert (result.outcome, result.sentence) == (
        Outcome.NOT_RUN,
        "score drop <= 0.05: not decided: 1 of 4 cases ran",
    )


@pytest.mark.parametrize(
    ("now", "outcome", "end"),
    [
        (0.8, Outcome.PASS, "pass after 43 of 200 cases (error <= 5%)"),
        (0.5, Outcome.FAIL, "fail after 27 of 200 cases (error <= 5%); fell most: "),
        (0.7, Outcome.UNDECIDED, "undecided after 200 of 200 cases (error <= 5%); fell most: "),
    ],
)
def test_non_inferiority_at_a_confidence(now: float, outcome: Outcome, end: str) -> None:
    pairs: Pairs = {f"{n:03}": (now, 0.8) for n in range(200)}
    result = _gate(_spec(0.1, 0.95), pairs)
    assert result.outcome is outcome
    assert end in result.sentence


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs: Pairs = {f"{n:03}": (0.9 if n < 50 else 0.1, 0.5) for n in range(100)}
    here = drop_test(_spec(0.1, 0.95), pairs)
    there = drop_test(_spec(0.1, 0.95), dict(reversed(pairs.items())))
    assert here.draws == there.draws
    assert here.draws != sorted(here.draws, reverse=True)
    assert sorted(set(here.draws)) == pytest.approx([0.3, 0.7])


def test_a_drop_at_the_bar_seldom_passes() -> None:
    passed = 0
    for seed in range(200):
        rng = random.Random(seed)
        pairs: Pairs = {f"{n:03}": (rng.random() * 0.8, 0.5) for n in range(150)}
        passed += drop_test(_spec(0.1, 0.95), pairs, seed=seed).outcome is Outcome.PASS
    assert passed / 200 <= 0.08


# --- one case


@pytest.mark.parametrize(
    ("values", "outcome", "sentence"),
    [
        (
            [0.75],
            Outcome.PASS,
            "score fell by 0.05 [-0.19, 0.68] from 0.80, drop <= 0.05: pass over 1 sample",
        ),
        (
            [0.5, 0.9],
            Outcome.FAIL,
            "score fell by 0.10 [-0.16, 0.63] from 0.80, drop <= 0.05: fail over 2 samples",
        ),
        (
            [0.9, None],
            Outcome.UNDECIDED,
            "score fell by -0.10 [-0.20, 0.63] from 0.80, drop <= 0.05: undecided over 1 sample, "
            "1 missing (why)",
        ),
        ([None], Outcome.FAIL, "score drop <= 0.05: fail, nothing was scored in 1 sample (why)"),
    ],
)
def test_a_case_against_its_own_mean(values: list[float | None], outcome: Outcome, sentence: str) -> None:
    result = case_drop_gate(_spec(0.05), values, 0.8, case_id="a", missing=["why"])
    assert (result.outcome, result.sentence) == (outcome, sentence)
    assert (result.case_id, result.bar, result.name) == ("a", "drop <= 0.05", "score")


def test_a_case_at_a_confidence() -> None:
    spec = _spec(0.1, 0.95)
    result = case_drop_gate(spec, [0.9] * 60, 0.9, case_id="a")
    assert result.outcome is Outcome.PASS
    assert result.samples < 60
    assert result.sentence.endswith(f"pass after {result.samples} of 60 samples (error <= 5%)")
    assert case_drop_gate(spec, [0.4] * 60, 0.9, case_id="a").outcome is Outcome.FAIL
    assert case_drop_gate(spec, [0.8] * 60, 0.9, case_id="a").outcome is Outcome.UNDECIDED


def test_the_bar_of_a_case() -> None:
    rule = case_rule(_spec(0.1, 0.95), 0.9)
    assert rule.min == pytest.approx(0.8)
    assert (rule.max_drop, rule.confidence) == (None, 0.95)


def test_a_fall_that_cannot_happen_needs_no_test() -> None:
    spec = _spec(0.2, 0.95)
    assert case_rule(spec, 0.1).confidence is None
    assert case_drop_gate(spec, [0.0], 0.1, case_id="a").outcome is Outcome.PASS


def test_no_baseline_is_undecided() -> None:
    result = without_baseline(_spec(0.05), "nobody saved one", case_id="a")
    assert (result.outcome, result.case_id) == (Outcome.UNDECIDED, "a")
    assert result.sentence == "score drop <= 0.05: undecided: nobody saved one"


def test_a_gain_is_tested_as_a_fall_is() -> None:
    pairs: Pairs = {f"c{number}": (0.8, 0.2) for number in range(30)}
    assert change_test(pairs, 0.5, 0.95).verdict().outcome is Outcome.UNDECIDED
    assert change_test(pairs, 0.1, 0.95).verdict().outcome is Outcome.PASS
    assert change_test(pairs, 0.95, 0.95).verdict().outcome is Outcome.FAIL
    low, high = change_interval({**pairs, "lost": (None, 0.5)}, 0.95)
    assert 0.1 < low < 0.6 < high < 0.95
    swapped: Pairs = {case: (before, now or 0.0) for case, (now, before) in pairs.items()}
    assert change_interval(swapped, 0.95) == pytest.approx((-high, -low), abs=1e-3)
