"""Acceptance: proved, too small, critical, or too few cases to say."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded
from pytest_kaizen.models import Decision, Scored
from pytest_kaizen.optimize import Budget, MemoryLedger, Meter, Standard, accept, acceptance, look_level
from pytest_kaizen.optimize.acceptance import judge


def scored(values: Sequence[float | None], **objectives: Sequence[float | None]) -> list[Scored]:
    rollouts = []
    for number, value in enumerate(values):
        found = {name: scores[number] for name, scores in objectives.items()}
        known = {name: score for name, score in found.items() if score is not None}
        error = "broke" if value is None else None
        rollouts.append(Scored(case_id=f"c{number:03}", score=value, error=error, objectives=known))
    return rollouts


def test_a_clear_gain_is_accepted() -> None:
    verdict = judge(scored([0.2] * 30), scored([0.8] * 30), Standard())
    assert verdict.decision is Decision.ACCEPTED
    assert (verdict.before, verdict.after, verdict.gain) == pytest.approx((0.2, 0.8, 0.6))
    assert verdict.gain_interval is not None
    assert 0.02 < verdict.gain_interval.low < 0.6 < verdict.gain_interval.high
    assert len(verdict.won) == 30
    assert verdict.lost == []
    assert verdict.sentence == (
        f"accepted: the candidate gained 0.60 [{verdict.gain_interval.low:.2f}, "
        f"{verdict.gain_interval.high:.2f}] over 30 held-out cases, wanted more than 0.02 at error 0.0304 "
        "(look 1): the gain is proved"
    )


@pytest.mark.parametrize("after", [0.2, 0.5, 0.51], ids=["worse", "equal", "gain below min_gain"])
def test_what_is_no_better_is_rejected(after: float) -> None:
    verdict = judge(scored([0.5] * 30), scored([after] * 30), Standard())
    assert verdict.decision is Decision.REJECTED


def test_the_same_gain_with_few_cases_is_underpowered_and_says_what_it_could_have_seen() -> None:
    few = judge(scored([0.3] * 4), scored([0.6] * 4), Standard())
    assert few.decision is Decision.UNDERPOWERED
    assert few.detectable is not None
    assert 0.6 < few.detectable < 1
    assert f"with these cases, a gain of {few.detectable:.2f} or more would be told" in few.sentence
    many = judge(scored([0.3] * 40), scored([0.6] * 40), Standard())
    assert many.decision is Decision.ACCEPTED
    one = judge(scored([0.3]), scored([0.9]), Standard())
    assert (one.decision, one.detectable) == (Decision.UNDERPOWERED, None)


def test_the_detectable_gain_is_what_the_test_tells_four_times_in_five() -> None:
    rng = random.Random(0)
    before = [rng.choice([0.0, 0.5, 1.0]) for _ in range(20)]
    after = [min(1.0, max(0.0, value + rng.choice([-0.4, 0.0, 0.6]))) for value in before]
    verdict = judge(scored(before), scored(after), Standard(min_gain=0.0))
    assert verdict.decision is Decision.UNDERPOWERED
    assert verdict.detectable is not None
    assert verdict.gain is not None
    assert verdict.detectable > verdict.gain


def test_without_held_out_cases_there_is_no_verdict_but_underpowered() -> None:
    verdict = judge([], [], Standard())
    assert (verdict.decision, verdict.gain) == (Decision.UNDERPOWERED, None)


def test_a_critical_criterion_must_not_fall() -> None:
    before = scored([0.2] * 30, safe=[0.9] * 30, brief=[0.9] * 30)
    after = scored([0.9] * 30, safe=[0.89] * 30, brief=[0.1] * 30)
    assert judge(before, after, Standard()).decision is Decision.ACCEPTED
    verdict = judge(before, after, Standard(critical=frozenset({"safe"})))
    assert verdict.decision is Decision.REJECTED
    assert "critical criteria fell or could not be compared: safe" in verdict.sentence
    fell = {criterion.name: (criterion.critical, criterion.fell) for criterion in verdict.criteria}
    assert fell == {"brief": (False, False), "safe": (True, True)}


def test_a_critical_criterion_that_cannot_be_compared_counts_as_fallen() -> None:
    critical = Standard(critical=frozenset({"safe"}))
    never = judge(scored([0.2] * 30), scored([0.9] * 30), critical)
    lost: list[float | None] = [None] + [0.9] * 29
    partly = judge(scored([0.2] * 30, safe=[0.9] * 30), scored([0.9] * 30, safe=lost), critical)
    assert (never.decision, partly.decision) == (Decision.REJECTED, Decision.REJECTED)


def test_a_case_that_broke_under_the_candidate_takes_the_proof_away() -> None:
    broken: list[float | None] = [None] + [0.9] * 29
    verdict = judge(scored([0.2] * 30), scored(broken), Standard())
    assert verdict.decision is Decision.UNDERPOWERED
    assert verdict.missing == ["c000"]
    assert "1 cases lack a score: c000" in verdict.sentence


def test_the_levels_of_all_looks_sum_to_the_error() -> None:
    levels = [look_level(look, 0.95) for look in range(1, 20_000)]
    assert math.fsum(levels) == pytest.approx(0.05, rel=1e-3)
    assert levels[0] == pytest.approx(0.0304, abs=1e-4)
    assert sorted(levels, reverse=True) == levels


def test_a_later_look_needs_more() -> None:
    before, after = scored([0.3] * 30), scored([0.65] * 30)
    first = next(look for look in range(1, 1000) if _decision(before, after, look) is not Decision.ACCEPTED)
    assert 1 < first < 1000


def _decision(before: list[Scored], after: list[Scored], look: int) -> Decision:
    return judge(before, after, Standard(), look=look).decision


def test_equal_prompts_are_accepted_in_few_of_many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes no part in the decision, and takes its time.
    monkeypatch.setattr(acceptance, "_detectable", lambda *_: None)
    rng = random.Random(3)
    accepted = 0
    for _ in range(400):
        before, after = ([float(rng.random() < 0.5) for _ in range(30)] for _ in range(2))
        accepted += judge(scored(before), scored(after), Standard(min_gain=0.0)).decision is Decision.ACCEPTED
    assert accepted <= 0.05 * 400


def test_looks_are_counted_and_a_comparison_that_does_not_fit_is_none(
    make_bench: Callable[..., Any], make_cases: Callable[[int], Any], fake_evaluator: Any
) -> None:
    ledger = MemoryLedger()
    evaluator = fake_evaluator(score=lambda prompt, *_: 0.9 if "better" in prompt else 0.1)
    poor = make_bench(evaluator, ledger=ledger, meter=Meter(Budget(rollouts=9)))
    with pytest.raises(BudgetExceeded):
        accept(poor, ledger, "better", make_cases(5), Standard())
    bench = make_bench(evaluator, ledger=ledger)
    looks = [
        accept(bench, ledger, text, make_cases(30), Standard(samples=2)).look
        for text in ("better", "better still", "better")
    ]
    assert looks == [1, 2, 1]
    assert {sample for _, _, sample in evaluator.asked} == {0, 1}
