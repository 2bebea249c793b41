from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from pytest_kaizen.errors import PromptError
from pytest_kaizen.prompts import Prompt
from pytest_kaizen.prompts.files import sha256_of, variables_in


def prompt_of(text: str) -> Prompt:
    return Prompt("t", 3, text, sha256_of(text), Path("prompts/t/3.md"), variables=variables_in(text))


def test_render_and_str() -> None:
    prompt = prompt_of("Dear {{ name }}, {{ self }}")
    assert str(prompt) == "Dear {{ name }}, {{ self }}"
    assert prompt.render(name="Ann", self=None) == "Dear Ann, None"


def test_render_says_which_prompt_and_what_is_wrong() -> None:
    with pytest.raises(PromptError) as caught:
        prompt_of("{{ a }}").render(b=1)
    assert str(caught.value) == (
        f"{Path('prompts/t/3.md')}: version 3 of 't' cannot be rendered: "
        "missing: a; unknown: b (the prompt's variables are a)"
    )


def test_a_prompt_cannot_be_changed() -> None:
    prompt = prompt_of("text")
    with pytest.raises(FrozenInstanceError):
        prompt.text = "other"  # type: ignore[misc]
