from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import GateSpec, Outcome, Scope, SpanKind
from pytest_kaizen.pipeline.tally import TaskTally, percentile

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.5, 7.0),
        ([7.0], 0.95, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0, 3.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.5, 50.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 21)], 0.95, 19.0),
        ([1.0, 2.0], 0.0, 1.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_percentile_is_by_nearest_rank(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_cases_count_alike_whatever_their_number_of_samples(make: Make) -> None:
    tally = TaskTally("greet")
    tally.add(make.case("a", *[make.sample(metrics={"score": 1.0, "pass_rate": 1.0})] * 9), ())
    tally.add(make.case("b", make.sample(metrics={"score": 0.0, "pass_rate": 0.0})), ())
    summary = tally.summary(2, [])
    assert (summary.score, summary.pass_rate, summary.samples, summary.cases) == (0.5, 0.5, 10, 2)


def test_a_case_without_a_score_is_not_a_zero(make: Make) -> None:
    tally = TaskTally("greet")
    tally.add(make.case("a", make.sample(metrics={"score": 0.8})), ())
    tally.add(make.case("b", make.sample()), ())
    assert tally.summary(2, []).score == 0.8


def test_a_rerun_takes_the_place_of_the_earlier_attempt(make: Make) -> None:
    tally = TaskTally("greet")
    tally.add(make.case("a", make.sample(make.span(), metrics={"score": 0.0})), ())
    tally.add(make.case("a", make.sample(make.span(), metrics={"score": 1.0})), ())
    summary = tally.summary(1, [])
    assert (summary.cases, summary.samples, summary.score, summary.calls) == (1, 1, 1.0, 1)


def test_sums_and_what_is_unpriced(make: Make) -> None:
    tally = TaskTally("greet")
    priced, unpriced = make.span(latency_ms=100.0), make.span(cost_usd=None, latency_ms=20.0)
    judge = make.span(SpanKind.JUDGE, latency_ms=9999.0, cost_usd=2.0)
    tally.add(make.case("a", make.sample(priced, unpriced, judge)), ())
    summary = tally.summary(1, [])
    assert (summary.calls, summary.input_tokens, summary.output_tokens) == (2, 8, 4)
    assert (summary.cost_usd, summary.unpriced) == (0.5, 1)
    assert (summary.latency_p50_ms, summary.latency_p95_ms) == (20.0, 100.0)
    assert (summary.judge_calls, summary.judge_cost_usd) == (1, 2.0)


def test_an_unknown_cost_is_none_and_no_zero(make: Make) -> None:
    tally = TaskTally("greet")
    tally.add(make.case("a", make.sample(make.span(cost_usd=None))), ())
    assert tally.summary(1, []).cost_usd is None
    assert TaskTally("greet").summary(0, []).cost_usd is None


def test_versions_of_its_own_prompt_are_listed(make: Make) -> None:
    tally = TaskTally("greet")
    for number, case in ((2, "a"), (10, "b"), (2, "c")):
        used = {"greet": (number, "ab"), "other": (7, "cd")}
        tally.add(make.case(case, make.sample(prompts=used)), ())
    assert tally.summary(3, []).prompts == "v2, v10"


def test_a_gate_is_decided_only_when_every_case_ran(make: Make) -> None:
    spec = GateSpec(scope=Scope.TASK, task="greet", metric="score", min=0.5)
    tally = TaskTally("greet")
    tally.add(make.case("a", make.sample(metrics={"score": 0.8})), ["score"])
    undecided = tally.gate(spec, collected=2)
    assert undecided.outcome is Outcome.NOT_RUN
    assert undecided.sentence == "score >= 0.50: not decided: 1 of 2 cases ran"
    assert tally.gate(spec, collected=1).outcome is Outcome.PASS


def test_a_gate_says_why_a_value_is_missing(make: Make) -> None:
    spec = GateSpec(scope=Scope.TASK, task="greet", metric="warmth", min=0.5)
    tally = TaskTally("greet")
    tally.add(make.case("a", make.sample(metrics={"warmth": 0.8})), ["warmth"])
    tally.add(make.case("b", make.sample(missing={"warmth": "warmth: timed out"})), ["warmth"])
    result = tally.gate(spec, collected=2)
    assert (result.outcome, result.missing) == (Outcome.UNDECIDED, 1)
    assert result.sentence.endswith("1 missing (warmth: timed out)")
