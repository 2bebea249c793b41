"""The split: stable, disjoint, equal inputs together."""

from __future__ import annotations

import pytest

from pytest_kaizen.optimize import TaskCase, split_cases
from pytest_kaizen.optimize.search import input_text, is_held_out

CASES = [TaskCase(f"t.py::test[{number}]", f"input {number}") for number in range(1000)]


def test_every_case_is_on_one_side_and_the_shares_hold_on_average() -> None:
    split = split_cases(CASES, search=0.5, validation=0.2)
    assert sorted(case.id for side in split for case in side) == sorted(case.id for case in CASES)
    assert [len(side) for side in split] == pytest.approx([500, 200, 300], abs=50)


def test_other_cases_move_no_case() -> None:
    whole, part = split_cases(CASES), split_cases(CASES[::3])
    for some, all_of_them in zip(part, whole, strict=True):
        assert set(some) <= set(all_of_them)


def test_one_input_under_two_tests_stays_on_one_side() -> None:
    twins = [TaskCase(f"other.py::test[{number}]", f"input {number}") for number in range(1000)]
    for side in split_cases([*CASES, *twins]):
        inputs = [case.input for case in side]
        assert all(inputs.count(text) == 2 for text in set(inputs[:50]))


def test_the_order_of_cases_does_not_matter() -> None:
    assert split_cases(CASES) == split_cases(CASES[::-1])


@pytest.mark.parametrize(("search", "validation"), [(0, 0.2), (0.8, 0.2), (1, 0), (0.5, -0.1)])
def test_shares_must_leave_something_held_out(search: float, validation: float) -> None:
    with pytest.raises(ValueError, match="must leave a share held out"):
        split_cases(CASES, search=search, validation=validation)


def test_an_edited_input_is_another_case() -> None:
    assert TaskCase("t", "a").key != TaskCase("t", "b").key
    assert TaskCase("t", "a").key == TaskCase("t", "a").key


def test_whether_an_input_is_held_out_is_known_without_the_other_cases() -> None:
    held_out = {case.input for case in split_cases(CASES).held_out}
    assert {case.input for case in CASES if is_held_out(case.input)} == held_out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (None, "null"),
        ({1: 0, "1": 0}, "{1: 0, '1': 0}"),
    ],
)
def test_equal_inputs_are_the_same_text(value: object, text: str) -> None:
    assert input_text(value) == text
