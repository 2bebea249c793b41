from __future__ import annotations

import pytest

from pytest_kaizen.report.text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m \x07 \x7f \x00", r"\x9b31m \x07 \x7f \x00"),
        ("seen\rhidden", r"seen\rhidden"),
        ("\u202egnp.exe \u2066x\u2069", r"\u202egnp.exe \u2066x\u2069"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", ["", "two\n\tlines", "10\u00a0€", "naïve 日本語", "👩\u200d🚀", "a\u200cb"])
def test_everything_else_stays(text: str) -> None:
    assert plain(text) == text
