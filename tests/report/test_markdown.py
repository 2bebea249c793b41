from __future__ import annotations

import pytest

from pytest_kaizen.report.text import code, fenced, table_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("@maintainer <img src=x> [a](b)", "`@maintainer <img src=x> [a](b)`"),
        ("a `tick` b", "``a `tick` b``"),
        ("`edge", "`` `edge ``"),
        ("", "`  `"),
        ("two\nlines", "`two lines`"),
        ("a|b", "`a\\|b`"),
        ("\x1b[31mred", "`\\x1b[31mred`"),
    ],
)
def test_code_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert code(text) == shown


def test_no_line_closes_its_fence() -> None:
    assert fenced("a\n````\n::error::b") == ["`````text", "a\n````\n: :error::b", "`````"]
    assert fenced("") == []


def test_a_table() -> None:
    assert table_lines(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
