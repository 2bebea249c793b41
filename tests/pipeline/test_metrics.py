from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.models import SpanKind, Usage
from pytest_kaizen.pipeline.tally import NOTHING_CAPTURED, sample_metrics

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make

BUDGETS = ("cost_usd", "latency_ms", "input_tokens", "output_tokens", "calls")


def test_budgets_are_sums_over_the_cases_own_calls(make: Make) -> None:
    spans = [
        make.span(),
        make.span(cost_usd=0.25, latency_ms=30.0),
        make.span(SpanKind.JUDGE),
        make.span(SpanKind.TOOL),
    ]
    values, missing = sample_metrics(make.trace(*spans), passed=True)
    assert {name: values[name] for name in BUDGETS} == {
        "cost_usd": 0.75,
        "latency_ms": 40.0,
        "input_tokens": 8.0,
        "output_tokens": 4.0,
        "calls": 2.0,
    }
    assert missing == {"score": "nothing was scored"}


def test_without_a_call_no_budget_is_zero(make: Make) -> None:
    values, missing = sample_metrics(make.trace(make.span(SpanKind.JUDGE)), passed=True)
    assert values == {"pass_rate": 1.0}
    assert {missing[name] for name in BUDGETS} == {NOTHING_CAPTURED}


@pytest.mark.parametrize(
    ("fields", "metric", "reason"),
    [
        ({"cost_usd": None}, "cost_usd", "the price of 'm-1' or the call's usage is not known"),
        (
            {"cost_usd": None, "error": "HTTP 500"},
            "cost_usd",
            "a call failed, so its cost is not known: HTTP 500",
        ),
        ({"usage": Usage(input_tokens=1)}, "output_tokens", "the call to 'm-1' reported none"),
        ({"latency_ms": None}, "latency_ms", "the call to 'm-1' reported none"),
    ],
)
def test_one_unknown_figure_makes_the_sum_unknown(
    make: Make, fields: dict[str, Any], metric: str, reason: str
) -> None:
    values, missing = sample_metrics(make.trace(make.span(), make.span(**fields)), passed=True)
    assert metric not in values
    assert missing[metric] == reason
    assert values["calls"] == 2.0


def test_a_rubric_counts_once_by_its_total(make: Make) -> None:
    scores = [
        make.score("r.a", 0.0, rubric="r"),
        make.score("r.b", 1.0, rubric="r"),
        make.score("r", 0.9, rubric="r"),
        make.score("own", 0.5),
    ]
    values, _ = sample_metrics(make.trace(scores=scores), passed=True)
    assert values["score"] == pytest.approx(0.7)
    assert (values["r.a"], values["r"], values["own"]) == (0.0, 0.9, 0.5)


def test_one_name_twice_counts_by_its_mean(make: Make) -> None:
    values, _ = sample_metrics(make.trace(scores=[make.score("a", 0.0), make.score("a", 1.0)]), passed=True)
    assert values["a"] == 0.5


def test_an_error_makes_its_name_and_the_mean_unknown(make: Make) -> None:
    scores = [make.score("a", 1.0), make.score("b", error="timed out"), make.score("b", 1.0)]
    values, missing = sample_metrics(make.trace(scores=scores), passed=True)
    assert values["a"] == 1.0
    assert missing["b"] == missing["score"] == "b: timed out"
    assert "b" not in values
    assert "score" not in values


@pytest.mark.parametrize(("passed", "value"), [(True, 1.0), (False, 0.0)])
def test_pass_rate(make: Make, passed: bool, value: float) -> None:
    values, _ = sample_metrics(make.trace(), passed=passed)
    assert values["pass_rate"] == value


def test_pass_rate_of_a_sample_whose_check_broke_is_unknown(make: Make) -> None:
    values, missing = sample_metrics(make.trace(), passed=None)
    assert "pass_rate" not in values
    assert missing["pass_rate"] == "a check broke"
