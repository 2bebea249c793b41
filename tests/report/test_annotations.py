from __future__ import annotations

from pytest_kaizen.report.terminal import MOST, Annotation, annotation_lines


def test_a_command_is_one_line_that_nothing_in_it_ends() -> None:
    hostile = Annotation("a,b:c.py", 3, "task: x", "50%\n::error::forged\r")
    assert annotation_lines([hostile]) == [
        "::error file=a%2Cb%3Ac.py,line=3,title=task%3A x::50%25%0A::error::forged%0D"
    ]


def test_what_github_would_drop_is_counted() -> None:
    many = [Annotation("t.py", number, "t", "m") for number in range(1, MOST + 4)]
    lines = annotation_lines(many)
    assert len(lines) == MOST
    assert lines[-1].endswith("::m (and 3 more gates did not pass)")
    assert lines[-2].endswith("::m")
    assert annotation_lines([]) == []
