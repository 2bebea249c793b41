"""``kaizen_when_off = skip | run``: tests that need ``--kaizen`` in a session without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


@pytest.fixture
def running(suite: Suite) -> Suite:
    suite.write("[pytest]\nkaizen_when_off = run", "pytest.ini")
    return suite


def test_run_serves_prompts_and_stores_nothing(running: Suite) -> None:
    running.prompts("greet", "Say hi.", "Say hello.")
    running.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("score", min=0.9)
        def test_it(kaizen, ask):
            prompt = kaizen.prompt("greet")
            assert (prompt.version, prompt.text) == (2, "Say hello.")
            ask(system=prompt.text)
            kaizen.score("warmth", 0.1)
            kaizen.case(input="a", output="b")
            with kaizen.span("look up"):
                pass
            assert kaizen.trace.output == "b"
    """)
    running.run(on=False, passed=1, code=0)
    assert not (running.root / ".kaizen").exists()
    assert len(running.llm.requests) == 1


def test_run_fails_a_check_at_once(running: Suite) -> None:
    running.write("""
        def test_it(kaizen):
            kaizen.check("polite", True)
            kaizen.check("half", 0.5)
            kaizen.check("short", False, "312 characters")
            raise AssertionError("went on")
    """)
    running.run(on=False, failed=1, code=1)
    assert running.failure == ["check 'short' failed: 312 characters"]


def test_run_uses_the_settings_of_the_project(running: Suite) -> None:
    running.prompts("greet", "Say hi.", "Say hello.")
    running.write("def test_it(kaizen):\n    assert kaizen.prompt('greet').version == 1")
    running.run("--kaizen-prompt-version=greet=1", on=False, passed=1, code=0)


def test_run_with_a_broken_project_file_is_an_error_of_the_test(running: Suite) -> None:
    running.write("tasks: [", "kaizen.yaml")
    running.write("def test_it(kaizen):\n    pass")
    running.run(on=False, errors=1, code=1)
    assert "kaizen.yaml:1: not valid YAML" in running.text


def test_skip_is_the_default_and_may_be_written_out(suite: Suite) -> None:
    suite.write("[pytest]\nkaizen_when_off = skip", "pytest.ini")
    suite.write("def test_it(kaizen):\n    pass")
    suite.run(on=False, skipped=1, code=0)


def test_on_it_changes_nothing(running: Suite) -> None:
    running.write("def test_it(kaizen, ask):\n    ask()\n    kaizen.check('short', False)")
    running.run(failed=1, code=1)
    assert len(running.trace.spans) == 1


def test_another_value_is_a_usage_error(suite: Suite) -> None:
    suite.write("[pytest]\nkaizen_when_off = ignore", "pytest.ini")
    suite.write("def test_it(kaizen):\n    pass")
    suite.run(on=False, code=4)
    assert "ini key kaizen_when_off: expected one of skip, run (found 'ignore')" in suite.errors
