from __future__ import annotations

from pytest_kaizen.report.text import table


def test_numbers_stand_right_and_stay_as_they_are() -> None:
    assert table(
        ("task", "n", "cost", "p50"), [("a", 7, "$0.10", "12 ms"), ("bcd", "007", None, "1,204 ms")]
    ) == (
        "task      n    cost       p50\n"
        "------  ---  ------  --------\n"
        "a         7   $0.10     12 ms\n"
        "bcd     007          1,204 ms"
    )


def test_numbers_are_not_rewritten() -> None:
    assert table(("x",), [("1e5",), ("0.10",), ("12.3456789",)]).split() == [
        *("x", "----------"),
        *("1e5", "0.10", "12.3456789"),
    ]
    assert table(("x",), [("2.50",), ("10",)]).splitlines()[2:] == ["2.50", "  10"]


def test_a_cell_is_one_line_without_control_characters() -> None:
    text = table(("output",), [("two\n lines\tand \x1b[31mred\u202e",)])
    assert text.splitlines()[2] == r"two lines and \x1b[31mred\u202e"


def test_without_rows() -> None:
    assert table(("task", "cases"), []) == "task    cases\n------  -------"
