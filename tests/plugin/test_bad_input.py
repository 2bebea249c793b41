"""Mistakes in files: one clear message with place and cure, before any call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    def test_it(ask):
        ask()
"""


def refused(suite: Suite, *parts: str) -> None:
    """The session ends as a usage error, in one line, with nothing called or stored."""
    suite.run(code=4)
    (line,) = [line for line in suite.errors.splitlines() if line]
    for part in parts:
        assert part in line
    assert suite.llm.requests == []
    assert not suite.database.exists()
    assert "INTERNALERROR" not in suite.text


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("tasks:\n  greet: [", 2, "not valid YAML"),
        ("tasks:\n\tgreet: 1", 2, "not valid YAML"),
        ("tasks: {}\ntasks: {}", 2, "'tasks' stands twice (first on line 1); keep one"),
        ("task: {}", 1, "unknown key 'task' (did you mean 'tasks'?); valid: "),
        ("tasks:\n  greet:\n    rubrik: a", 3, "unknown key 'tasks.greet.rubrik' (did you mean 'rubric'?)"),
        ("- a", 1, "expected keys and values, found list"),
        ("judge: {max_tokens: 0}", 1, "judge.max_tokens: "),
        ("judge: {timeout_s: soon}", 1, "judge.timeout_s: "),
        ("endpoints: [{api: cohere, path: /v1}]", 1, "endpoints.0.api: "),
        ("redact:\n  - 'a('", 2, "redact.0: not a regular expression: "),
        ("redact: ['']", 1, "redact.0: "),
    ],
)
def test_a_broken_project_file(suite: Suite, text: str, line: int, message: str) -> None:
    path = suite.write(text, "kaizen.yaml")
    suite.write(TEST)
    refused(suite, f"{path}:{line}: ", message)


def test_a_value_that_is_not_one_of_the_valid_ones(suite: Suite) -> None:
    suite.write("undecided: perhaps", "kaizen.yaml")
    suite.write(TEST)
    refused(suite, "kaizen.yaml: undecided: expected one of fail, pass (found 'perhaps')")


def test_a_project_file_that_cannot_be_read(suite: Suite) -> None:
    (suite.root / "kaizen.yaml").write_bytes(b"tasks: \xff\xfe")
    suite.write(TEST)
    refused(suite, "kaizen.yaml: cannot be read: ")


def test_a_rubric_of_a_task_that_is_not_there(suite: Suite) -> None:
    suite.write("tasks: {greet: {rubric: rubrics/nowhere.yaml}}", "kaizen.yaml")
    suite.write(TEST)
    refused(suite, f"{suite.root / 'rubrics/nowhere.yaml'}: no such file")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: [", 1, "not valid YAML"),
        ("name: s\ncriteria: []", 2, "criteria: "),
        ("criteria: [{name: a, description: d}]", 1, "'name' is missing"),
        ("name: s\ncriteria:\n  - {name: a}", 3, "'a' needs a description for the judge, or a check"),
        ("name: s\ncriteria:\n  - {name: a, check: {contain: x}}", 3, "(did you mean 'contains'?)"),
        ("name: s\ncriteria:\n  - {name: a, check: {regex: '('}}", 3, "regex"),
    ],
)
def test_a_broken_rubric(suite: Suite, text: str, line: int, message: str) -> None:
    path = suite.write(text, "r.yaml")
    suite.write("import pytest\n\n\n@pytest.mark.kaizen_rubric('r.yaml')\ndef test_it(ask):\n    ask()\n")
    refused(suite, f"{path}:{line}: ", message)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("prompts/greet/1.md", "---\nmodl: x\n---\nSay hi.", "1.md:2: unknown key 'modl'"),
        ("prompts/greet/1.md", "---\nmodel: x\nSay hi.", "1.md:1: the front matter is not closed"),
        ("prompts/greet/1.md", "", "1.md: holds no text"),
        ("kaizen.lock", "tasks: {greet: {active: x}}", "kaizen.lock:1: tasks.greet.active: "),
    ],
)
def test_a_broken_prompt_file(suite: Suite, name: str, text: str, message: str) -> None:
    suite.prompts("greet", "Say hi.", "Say hello.")
    suite.write(text, name)
    suite.write(TEST)
    refused(suite, message)


def test_a_stray_file_among_the_versions(suite: Suite) -> None:
    suite.prompts("greet", "Say hi.")
    suite.write("Say hi.", "prompts/greet/draft.md")
    suite.write(TEST)
    refused(suite, "draft.md: a prompt file is named by its version")


def test_an_active_version_without_its_file(suite: Suite) -> None:
    suite.prompts("greet", "Say hi.")
    suite.write("tasks: {greet: {active: 4}}", "kaizen.lock")
    suite.write(TEST)
    refused(suite, "version 4 of 'greet' is active", "`kaizen prompts activate greet N`")


def test_a_broken_price_table(suite: Suite) -> None:
    suite.write("prices: p.yaml", "kaizen.yaml")
    suite.write("models: [", "p.yaml")
    suite.write(TEST)
    refused(suite, "p.yaml:1: not valid YAML")


def test_a_mistake_in_one_file_of_many_stops_the_session_before_any_call(suite: Suite) -> None:
    suite.write("def test_first(ask):\n    ask()\n", "test_a.py")
    suite.write("import pytest\n\n\n@pytest.mark.kaizen\ndef test_it(ask):\n    ask()\n", "test_z.py")
    refused(suite, f"{suite.root / 'test_z.py'}:4: test_it: @pytest.mark.kaizen: ")


def test_a_mistake_is_found_by_collect_only_too(suite: Suite) -> None:
    suite.write("import pytest\n\n\n@pytest.mark.kaizen\ndef test_it(ask):\n    ask()\n")
    suite.run("--collect-only", code=4)
    assert "@pytest.mark.kaizen: missing a required argument" in suite.errors


def test_without_kaizen_mistakes_in_its_files_harm_nobody(suite: Suite) -> None:
    suite.write("tasks: [", "kaizen.yaml")
    suite.write(
        "import pytest\n\n\n@pytest.mark.kaizen\ndef test_it():\n    pass\n\n\ndef test_b():\n    pass\n"
    )
    suite.run(on=False, passed=1, skipped=1, code=0)
