from __future__ import annotations

import pytest

from pytest_kaizen.report.text import safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text\twith a tab\nand a line", "plain text\twith a tab\nand a line"),
        ("windows\r\nlines", "windows\nlines"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("over\rwritten \x9b1A", r"over\rwritten \x9b1A"),
        ("left \u202e right", r"left \u202e right"),
        ("::error file=a.py::gone", ": :error file=a.py::gone"),
        ("fine\n  ::set-output name=x::y", "fine\n  : :set-output name=x::y"),
        ("\u00a0::add-mask::x", "\u00a0: :add-mask::x"),
        ("std::string and a ::b", "std::string and a ::b"),
        ("##[group]x and ##[endgroup]", "# #[group]x and # #[endgroup]"),
        ("a ##vso[task.setvariable]b", "a # #vso[task.setvariable]b"),
        ("##teamcity[buildStatus]", "# #teamcity[buildStatus]"),
        ("## Heading\n###[x]", "## Heading\n## #[x]"),
        ("日本語 café 😀", "日本語 café 😀"),
    ],
)
def test_safe_text(text: str, shown: str) -> None:
    assert safe_text(text) == shown
    assert safe_text(shown) == shown
