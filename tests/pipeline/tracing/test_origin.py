"""The variable that holds a prompt."""

from __future__ import annotations

import pytest

from pytest_kaizen.pipeline.tracing.sinks import find_origin

WHOLE = "You are a careful editor."
TEMPLATE = "Rewrite {text} in the voice of {name}."
BRACES = 'Answer with {"json": 1} and nothing else'
SHORT = "hello"


@pytest.mark.parametrize(
    ("prompt", "variable"),
    [
        (WHOLE, "WHOLE"),
        (f"Be brief. {WHOLE} Thanks.", "WHOLE"),
        (TEMPLATE.format(text="this", name="a poet"), "TEMPLATE"),
        ("in the voice of . Rewrite ", None),
        (f"{BRACES}!", "BRACES"),
        (f"{WHOLE} {BRACES}", "BRACES"),
        (SHORT, None),
    ],
)
def test_variables(prompt: str, variable: str | None) -> None:
    texts = [prompt]
    del prompt
    origin = find_origin(texts, {})
    assert (origin.file, origin.variable) == (__file__, variable)
    assert origin.task == f"test_origin_{variable or 'test_variables'}"


def test_a_local_variable_counts_too() -> None:
    mine = "Translate this into French:"
    origin = find_origin([f"{mine} {WHOLE}"], {})
    assert (origin.variable, origin.task) == ("mine", "test_origin_mine")


def test_the_users_own_names_come_first() -> None:
    assert find_origin([f"{WHOLE} {BRACES}"], {"WHOLE": "edit"}).variable == "WHOLE"
