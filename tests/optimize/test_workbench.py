"""Rollouts and reflections: never paid for twice, never beyond the budget, in a fixed order."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded
from pytest_kaizen.models import Scored
from pytest_kaizen.optimize import Budget, MemoryLedger, Meter, ReflectionRequest
from pytest_kaizen.optimize.workbench import failures_in, mean_score


def test_results_come_in_the_order_asked_for(make_bench: Any, make_cases: Any) -> None:
    rollouts = make_bench().run("p", make_cases(3), (0, 1))
    assert [(r.case_id, r.sample) for r in rollouts] == [
        (f"t.py::test[{number}]", sample) for number in range(3) for sample in (0, 1)
    ]


def test_what_is_known_is_not_run_again(make_bench: Any, make_cases: Any, fake_evaluator: Any) -> None:
    evaluator, meter = fake_evaluator(), Meter()
    bench = make_bench(evaluator, meter=meter)
    bench.run("p", make_cases(2))
    bench.run("p", make_cases(3))
    assert sorted(evaluator.asked) == [("p", f"t.py::test[{number}]", 0) for number in range(3)]
    assert meter.used.rollouts == meter.paid.rollouts == 3


def test_what_the_ledger_holds_counts_but_is_not_paid_for(
    make_bench: Any, make_cases: Any, fake_evaluator: Any
) -> None:
    ledger, again, meter = MemoryLedger(), fake_evaluator(), Meter()
    first = make_bench(ledger=ledger).run("p", make_cases(2))
    assert make_bench(again, ledger=ledger, meter=meter).run("p", make_cases(2)) == first
    assert again.asked == []
    assert (meter.used.rollouts, meter.paid.rollouts) == (2, 0)


def test_a_batch_that_does_not_fit_does_not_start(
    make_bench: Any, make_cases: Any, fake_evaluator: Any
) -> None:
    evaluator = fake_evaluator()
    bench = make_bench(evaluator, meter=Meter(Budget(rollouts=3)))
    bench.run("p", make_cases(2))
    with pytest.raises(BudgetExceeded):
        bench.run("p", make_cases(4))
    assert len(evaluator.asked) == 2


def test_with_a_cap_in_money_one_rollout_tells_what_the_others_cost(
    make_bench: Any, make_cases: Any, fake_evaluator: Any
) -> None:
    evaluator = fake_evaluator(cost_usd=0.4)
    with pytest.raises(BudgetExceeded):
        make_bench(evaluator, meter=Meter(Budget(usd=1.0))).run("p", make_cases(6))
    assert len(evaluator.asked) == 1


def test_what_was_done_before_a_kill_is_kept(make_bench: Any, make_cases: Any, fake_evaluator: Any) -> None:
    ledger = MemoryLedger()
    with pytest.raises(KeyboardInterrupt):
        make_bench(fake_evaluator(die_after=4), ledger=ledger).run("p", make_cases(6))
    resumed = fake_evaluator()
    make_bench(resumed, ledger=ledger).run("p", make_cases(6))
    assert len(resumed.asked) == 2


def test_a_rollout_that_fails_costs_itself_and_may_be_tried_by_a_later_job(
    make_bench: Any, make_cases: Any, fake_evaluator: Any
) -> None:
    ledger, meter = MemoryLedger(), Meter()
    broken = fake_evaluator(score=lambda _, case, __: None if case.endswith("[1]") else 1.0)
    rollouts = make_bench(broken, ledger=ledger, meter=meter).run("p", make_cases(3))
    assert [r.error for r in rollouts] == [None, "broke", None]
    assert meter.used.rollouts == 3
    later = fake_evaluator()
    make_bench(later, ledger=ledger).run("p", make_cases(3))
    assert later.asked == [("p", "t.py::test[1]", 0)]


class Silent:
    def evaluate(self, *_: object) -> list[Scored]:
        return [Scored(case_id="who knows", score=1.0), Scored(case_id="t.py::test[0]")]


def test_missing_and_unasked_results_are_no_scores(make_bench: Any, make_cases: Any) -> None:
    rollouts = make_bench(Silent()).run("p", make_cases(2))
    assert [r.error for r in rollouts] == ["the case has no score", "the evaluator gave no result"]


def test_a_reflection_is_asked_for_once(make_bench: Any, fake_reflector: Any) -> None:
    ledger, reflector = MemoryLedger(), fake_reflector()
    request = ReflectionRequest(task="reply", prompt="p", failures=())
    bench = make_bench(reflector=reflector, ledger=ledger)
    assert bench.reflect(request) == bench.reflect(request)
    assert len(reflector.shown) == 1
    meter = Meter()
    make_bench(reflector=reflector, ledger=ledger, meter=meter).reflect(request)
    assert len(reflector.shown) == 1
    assert (meter.used.calls, meter.used.usd, meter.paid.calls) == (1, 0.02, 0)
    capped = make_bench(reflector=reflector, ledger=ledger, meter=Meter(Budget(calls=0)))
    with pytest.raises(BudgetExceeded):
        capped.reflect(request)


def test_another_reflecting_model_is_asked_anew(make_bench: Any, fake_reflector: Any) -> None:
    ledger, reflector = MemoryLedger(), fake_reflector()
    request = ReflectionRequest(task="reply", prompt="p", failures=())
    for name in ("a", "b", "a"):
        make_bench(reflector=reflector, ledger=ledger, reflecting=name).reflect(request)
    assert len(reflector.shown) == 2


def test_failures_are_the_worst_first_with_what_went_wrong_alone(make_bench: Any, make_cases: Any) -> None:
    rollouts = make_bench().run("p", make_cases(2))
    good = rollouts[0].model_copy(update={"score": 1.0})
    broken = rollouts[0].model_copy(update={"score": None, "error": "x"})
    worse = rollouts[1].model_copy(update={"score": 0.1})
    found = failures_in([good, broken, rollouts[0], worse], make_cases(2))
    assert [(f.case_id, f.score, f.input) for f in found] == [
        ("t.py::test[1]", 0.1, "input 1"),
        ("t.py::test[0]", 0.5, "input 0"),
    ]


def test_the_mean_counts_each_case_alike() -> None:
    rollouts = [
        Scored(case_id="a", sample=0, score=1.0),
        Scored(case_id="a", sample=1, score=0.0),
        Scored(case_id="b", score=1.0),
        Scored(case_id="c", error="broke"),
    ]
    assert mean_score(rollouts) == 0.75
    assert mean_score(rollouts[3:]) is None
