from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.capture.cassettes.layout import OneLine, is_restorable, parse, render

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES.filter(is_restorable))
def test_what_is_laid_out_comes_back(value: Any) -> None:
    text = render(value)
    assert parse(text) == value
    text.encode()


def test_long_things_are_broken_up_and_texts_stand_line_by_line() -> None:
    value = {
        "short": {"a": 1},
        "long": ["x" * 60, "y" * 60],
        "text": "Dear all,\n\nbye\n",
        "one line": "ends\n",
        "events": OneLine([["e" * 120], ["f"]]),
    }
    assert render(value).splitlines() == [
        "{",
        '  "short": {"a": 1},',
        '  "long": [',
        f'    "{"x" * 60}",',
        f'    "{"y" * 60}"',
        "  ],",
        '  "text": {"|": [',
        '    "Dear all,",',
        '    "",',
        '    "bye",',
        '    ""',
        "  ]},",
        '  "one line": "ends\\n",',
        '  "events": [',
        f'    ["{"e" * 120}"],',
        '    ["f"]',
        "  ]",
        "}",
    ]


def test_no_control_character_reaches_the_file() -> None:
    assert render("\x1b[31m\x00 Grüße \ud83d") == '"\\u001b[31m\\u0000 Grüße \\ud83d"'
