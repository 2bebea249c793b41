"""``--kaizen-prompt-version`` and its other places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    def test_it(kaizen):
        prompt = kaizen.prompt("greet")
        kaizen.check(f"v{prompt.version} {prompt.text}", True)
"""


@pytest.fixture
def greeting(suite: Suite) -> Suite:
    suite.prompts("greet", "Say hi.", "Say hello.", "Say good day.")
    suite.write(TEST)
    return suite


def used(suite: Suite) -> str:
    (score,) = suite.trace.scores
    return score.name


def test_without_it_the_highest_version_runs(greeting: Suite) -> None:
    greeting.run(passed=1)
    assert used(greeting) == "v3 Say good day."


def test_the_option_runs_another_version(greeting: Suite) -> None:
    greeting.run("--kaizen-prompt-version", "greet=1", passed=1)
    assert used(greeting) == "v1 Say hi."
    assert greeting.sample.prompts["greet"][0] == 1
    assert greeting.stored_run.config["prompt_versions"] == {"greet": 1}


def test_the_option_is_repeatable(greeting: Suite) -> None:
    greeting.prompts("leave", "Say bye.", "Say farewell.")
    greeting.write("""
        def test_it(kaizen):
            kaizen.check(kaizen.prompt("greet").text + kaizen.prompt("leave").text, True)
    """)
    greeting.run("--kaizen-prompt-version", "greet=2", "--kaizen-prompt-version", "leave=1", passed=1)
    assert used(greeting) == "Say hello.Say bye."


def test_command_line_then_environment_then_ini(greeting: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    greeting.write("[pytest]\nkaizen_prompt_version = greet=1", "pytest.ini")
    greeting.run(passed=1)
    assert used(greeting) == "v1 Say hi."

    monkeypatch.setenv("KAIZEN_PROMPT_VERSION", "greet=2")
    greeting.run(passed=1)
    assert used(greeting) == "v2 Say hello."

    greeting.run("--kaizen-prompt-version", "greet=3", passed=1)
    assert used(greeting) == "v3 Say good day."


@pytest.mark.parametrize("bad", ["greet", "greet=", "=1", "greet=0", "greet=two", "greet=-1"])
def test_not_task_and_number(greeting: Suite, bad: str) -> None:
    greeting.run(f"--kaizen-prompt-version={bad}", code=4)
    assert (
        f"--kaizen-prompt-version: expected TASK=N with N counted from 1 (found '{bad}')" in greeting.errors
    )


def test_the_message_names_the_place_the_value_came_from(
    greeting: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting.write("[pytest]\nkaizen_prompt_version = greet=x", "pytest.ini")
    greeting.run(code=4)
    assert "ini key kaizen_prompt_version: expected TASK=N" in greeting.errors
    monkeypatch.setenv("KAIZEN_PROMPT_VERSION", "greet=y")
    greeting.run(code=4)
    assert "KAIZEN_PROMPT_VERSION: expected TASK=N" in greeting.errors


def test_a_version_that_is_not_there(greeting: Suite) -> None:
    greeting.run("--kaizen-prompt-version", "greet=7", code=4)
    assert "there is no version 7 of 'greet' (there: 1, 2, 3)" in greeting.errors
    assert not greeting.database.exists()


def test_a_task_that_is_not_there(greeting: Suite) -> None:
    greeting.run("--kaizen-prompt-version", "great=1", code=4)
    assert "no prompt of 'great' here; write the first version: `kaizen prompts new great`" in greeting.errors
