from __future__ import annotations

import pytest

from pytest_kaizen.gate import Family
from pytest_kaizen.gate.sentence import bar_text, budget_number, error_text, percent, score_number
from pytest_kaizen.models import GateSpec, Scope


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (5000.0, "5000"),
        (5213.44, "5213"),
        (999.96, "1000"),
        (12.345, "12.3"),
        (1.0, "1"),
        (0.1, "0.1"),
        (0.0021, "0.0021"),
        (0.002149, "0.00215"),
        (1.23456e-7, "0.000000123"),
        (123456789.2, "123456789"),
        (3e20, "300000000000000000000"),
    ],
)
def test_budgets_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert budget_number(value) == text


def test_scores_and_shares() -> None:
    assert [score_number(value) for value in (0, 0.8, 0.996, 1, -0.001)] == [
        "0.00",
        "0.80",
        "1.00",
        "1.00",
        "0.00",
    ]
    assert [percent(0.95), percent(0.995, 1)] == ["95%", "99.5%"]


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        ({"metric": "score", "min": 0.8}, ">= 0.80"),
        ({"metric": "score", "min": 0.825}, ">= 0.825"),
        ({"metric": "score", "max": 1}, "<= 1.00"),
        ({"metric": "cost_usd", "max": 0.00005}, "<= 0.00005"),
        ({"metric": "latency_ms", "max": 5000, "share": 0.95}, "<= 5000 in 95% of samples"),
        ({"metric": "latency_ms", "max": 1234.5678, "share": 0.999}, "<= 1234.5678 in 99.9% of samples"),
        ({"metric": "score", "max_drop": 0.05}, "drop <= 0.05"),
    ],
)
def test_bars_keep_the_digits_they_were_given(bar: dict[str, object], text: str) -> None:
    spec = GateSpec.model_validate({"scope": Scope.CASE, "task": "t", **bar})
    assert bar_text(spec) == text


def test_errors() -> None:
    assert error_text(0.95, None) == error_text(0.95, Family([0.95])) == " (error <= 5%)"
    assert error_text(0.95, Family([0.999, 0.9, 0.95])) == " (error <= 10% over 3 gates)"
