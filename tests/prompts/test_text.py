from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.prompts.files import fill, normalise, sha256_of, variables_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\r\n", "a\nb"),
        ("a\rb", "a\nb"),
        ("\n \t\n  indented\n\nend  \n\n  \n", "  indented\n\nend  "),
        ("", ""),
        (" \n\t\n", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text(alphabet="ab {}\n\r\t\u2028é"))
def test_normalise_is_stable_and_blind_to_line_ends(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(once.replace("\n", "\r\n") + "\r\n") == once
    assert "\r" not in once


def test_sha256_is_of_the_utf8_bytes() -> None:
    assert sha256_of("grüß") == hashlib.sha256(b"gr\xc3\xbc\xc3\x9f").hexdigest()


def test_variables_in_the_order_they_first_occur() -> None:
    text = '{{b}} {{ a }} {{ b }} {{ _x1 }} {single} {{ 1st }} {{"json": 1}} {{\nc }}'
    assert variables_in(text) == ("b", "a", "_x1")


def test_fill_inserts_values_verbatim() -> None:
    filled = fill(r"{{ a }}/{{b}}/{{ a }}", {"a": r"{{ b }} \1 \g<0>", "b": 7})
    assert filled == r"{{ b }} \1 \g<0>/7/{{ b }} \1 \g<0>"


@given(st.text(), st.text())
def test_fill_leaves_everything_else_alone(before: str, value: str) -> None:
    before = before.replace("{", "(")
    assert fill(before + "{{ x }}" + before, {"x": value}) == before + value + before


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("{{ a }} {{ b }}", {"b": 1}, "missing: a (the prompt's variables are a, b)"),
        ("{{ a }}", {"a": 1, "c": 2, "d": 3}, "unknown: c, d (the prompt's variables are a)"),
        ("{{ a }} {{ b }}", {"c": 1}, "missing: a, b; unknown: c (the prompt's variables are a, b)"),
        ("plain", {"c": 1}, "unknown: c (the prompt has no variables)"),
        (
            "{{ a }} {{ user.name }}",
            {"a": 1},
            "'{{ user.name }}' is not a variable: a name is letters a-z, digits and '_'; "
            "to send it as it stands, give it as the value of a variable",
        ),
        (
            "{{ größe }}",
            {},
            "'{{ größe }}' is not a variable: a name is letters a-z, digits and '_'; "
            "to send it as it stands, give it as the value of a variable",
        ),
    ],
)
def test_fill_refuses(text: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        fill(text, values)
    assert str(caught.value) == message


def test_fill_takes_json_in_double_braces_for_text() -> None:
    assert fill('{{"a": {{ a }}}}', {"a": 1}) == '{{"a": 1}}'
