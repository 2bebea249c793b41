from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.score.rubric import MAX_STEPS, IntegerScale, YesNo, parse_scale

scales = st.integers(-1000, 1000).flatmap(
    lambda low: st.integers(1, MAX_STEPS).map(lambda width: IntegerScale(low=low, high=low + width))
)


def test_yes_and_no() -> None:
    assert YesNo().to_unit("yes") == 1.0
    assert YesNo().to_unit("no") == 0.0
    assert YesNo().schema == {"type": "string", "enum": ["no", "yes"]}


@pytest.mark.parametrize("answer", ["Yes", "", None, True, 1, ["yes"]])
def test_anything_else_is_no_answer(answer: Any) -> None:
    with pytest.raises(ValueError, match="expected yes or no, got"):
        YesNo().to_unit(answer)


@given(scales)
def test_an_integer_scale_maps_its_ends_to_0_and_1_and_keeps_order(scale: IntegerScale) -> None:
    values = [scale.to_unit(answer) for answer in scale.schema["enum"]]
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert values == sorted(set(values))
    steps = [after - before for before, after in itertools.pairwise(values)]
    assert max(steps) - min(steps) < 1e-9


@given(scales, st.integers(-3000, 3000))
def test_only_integers_of_the_scale_are_answers(scale: IntegerScale, answer: int) -> None:
    if answer in scale.schema["enum"]:
        assert 0 <= scale.to_unit(answer) <= 1
    else:
        with pytest.raises(ValueError, match=f"from {scale.low} to {scale.high}"):
            scale.to_unit(answer)


@pytest.mark.parametrize("answer", [True, 3.0, "3", None])
def test_what_is_not_an_integer_is_no_answer(answer: Any) -> None:
    with pytest.raises(ValueError, match="expected an integer from 1 to 5, got"):
        IntegerScale(low=1, high=5).to_unit(answer)


def test_parsing() -> None:
    assert parse_scale("yes_no") == YesNo()
    assert parse_scale([1, 5]) == IntegerScale(low=1, high=5)
    assert parse_scale([0, 100]) == IntegerScale(low=0, high=100)


@pytest.mark.parametrize(
    "value", ["yes", [5, 1], [1, 1], [1], [1, 2, 3], [0, 101], [1.0, 5], [True, 5], None, 5]
)
def test_what_is_no_scale(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected yes_no or \[low, high\]"):
        parse_scale(value)
