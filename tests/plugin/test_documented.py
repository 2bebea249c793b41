"""Every option, ini key, marker, fixture and hook says what it is for."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from pytest_kaizen.plugin import hookspecs

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def words_after(name: str, text: str) -> str:
    """The help that follows a name, up to the next entry."""
    match = re.search(rf"^  +{re.escape(name)}[^\n]*(?:\n {{8,}}[^\n]+)*", text, re.MULTILINE)
    assert match is not None, name
    return " ".join(match[0].split())


def test_help_shows_every_option_and_ini_key(suite: Suite) -> None:
    suite.run("--help", on=False, code=0)
    assert "prompt regression (pytest-kaizen):" in suite.text
    assert "Record every LLM call as a scored trace" in words_after("--kaizen ", suite.text)
    assert "Run version N of a task's prompt" in words_after("--kaizen-prompt-version=TASK=N", suite.text)
    optimize = words_after("--kaizen-optimize=never|propose|activate|pr", suite.text)
    assert "search for a better prompt, which costs money: never (default)" in optimize
    assert "The database file (default: .kaizen/kaizen.db)" in words_after("--kaizen-store=PATH", suite.text)
    assert "Same as --kaizen-prompt-version" in words_after("kaizen_prompt_version", suite.text)
    assert "Same as --kaizen-store" in words_after("kaizen_store", suite.text)
    assert "fail (default) or pass" in words_after("kaizen_undecided", suite.text)
    assert "skip (default) or run" in words_after("kaizen_when_off", suite.text)


def test_markers_are_listed_with_their_arguments(suite: Suite) -> None:
    suite.run("--markers", on=False, code=0)
    lines = [line for line in suite.result.outlines if line.startswith("@pytest.mark.kaizen")]
    assert [line.partition(":")[0] for line in lines] == [
        "@pytest.mark.kaizen(task, samples=None, max_samples=None, concurrency=None, isolate=False)",
        "@pytest.mark.kaizen_prompt(task, requirement)",
        "@pytest.mark.kaizen_record(mode)",
        "@pytest.mark.kaizen_rubric(path, min=0.8, each={criterion",
        "@pytest.mark.kaizen_threshold(metric, min=None, max=None, share=None, max_drop=None, "
        "confidence=None)",
    ]


def test_fixtures_are_listed_with_their_docstrings(suite: Suite) -> None:
    suite.run("--fixtures", on=False, code=0)
    suite.result.stdout.fnmatch_lines(["kaizen --*", "    Fetch prompts, give checks and scores*"])
    suite.result.stdout.fnmatch_lines(["kaizen_llm --*", "    Serve scripted answers from a local*"])


def test_hooks_have_docstrings_with_an_example() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_kaizen_")]
    assert hooks == [
        "pytest_kaizen_scorers",
        "pytest_kaizen_trace",
        "pytest_kaizen_gate",
        "pytest_kaizen_price",
    ]
    for name in hooks:
        assert f"def {name}(" in (inspect.getdoc(getattr(hookspecs, name)) or "")


def test_nothing_of_ours_is_named_without_the_prefix(suite: Suite) -> None:
    suite.run("--fixtures", "-q", on=False, code=0)
    ours = [line.split()[0] for line in suite.result.outlines if "pytest_kaizen" in line and " -- " in line]
    # pytest sorts them by the text of their places.
    assert sorted(ours) == ["kaizen", "kaizen_llm"]


def test_the_scripted_model_is_usable_without_kaizen(suite: Suite) -> None:
    suite.write("""
        import os

        def test_it(kaizen_llm, ask):
            assert os.environ["OPENAI_BASE_URL"] == kaizen_llm.url + "/v1"
            kaizen_llm.reply("from the fixture", when="hello")
            assert ask("hello") == "from the fixture"
            assert [request.last_user_text for request in kaizen_llm.record] == ["hello"]

        def test_environment_is_put_back(ask):
            assert ask("hello") == "an answer"
    """)
    suite.run(on=False, passed=2, code=0)
    suite.run(passed=2, code=0)
