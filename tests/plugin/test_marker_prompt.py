"""``@pytest.mark.kaizen_prompt(task, requirement)``: which version the test really used."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEXTS = ("Say hi.", "Say hello.", "Say good day.")
SHA256 = [hashlib.sha256(text.encode()).hexdigest() for text in TEXTS]


@pytest.fixture
def greeting(suite: Suite) -> Suite:
    suite.prompts("greet", *TEXTS)
    return suite


def write_test(suite: Suite, requirement: str, task: str = "greet", body: str = "") -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen_prompt("{task}", "{requirement}")
        def test_it(kaizen, ask):
            {body or 'ask(system=kaizen.prompt("greet").text)'}
    """)


@pytest.mark.parametrize(
    "requirement",
    ["==2", "!=3", ">=2", ">=2,<3", "> 1", "<=2", f"sha256:{SHA256[1]}", f"sha256:{SHA256[1][:8]}"],
)
def test_a_version_that_meets_it_passes(greeting: Suite, requirement: str) -> None:
    write_test(greeting, requirement)
    greeting.run("--kaizen-prompt-version", "greet=2", passed=1, code=0)
    gate = greeting.gate
    assert gate.outcome is Outcome.PASS
    assert gate.sentence == f"prompt greet v2 {requirement}: pass"
    assert greeting.last_line.startswith("kaizen: 1 gate decided over 1 case: all passed (run ")
    assert greeting.table["greet"]["prompt"] == "v2"


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("==3", ""),
        (">=3", ""),
        ("<2", ""),
        ("active", ", v3 is active"),
        ("locked", ", kaizen.lock does not have it"),
        (f"sha256:{SHA256[0][:8]}", f", its text is {SHA256[1][:8]}"),
    ],
)
def test_a_version_that_does_not_fails(greeting: Suite, requirement: str, why: str) -> None:
    write_test(greeting, requirement)
    greeting.run("--kaizen-prompt-version", "greet=2", failed=1, code=1)
    assert greeting.failure == [f"prompt greet v2 {requirement}: fail{why}", "(task greet)"]


def test_active_and_locked(greeting: Suite) -> None:
    greeting.write(
        f"tasks:\n  greet:\n    active: 1\n    versions:\n      1: {SHA256[0]}\n",
        "kaizen.lock",
    )
    write_test(greeting, "active")
    greeting.run(passed=1, code=0)
    assert greeting.gate.sentence == "prompt greet v1 active: pass"
    write_test(greeting, "locked")
    greeting.run(passed=1, code=0)
    assert greeting.gate.sentence == "prompt greet v1 locked: pass"


def test_a_test_that_never_fetches_the_prompt_fails_and_says_so(greeting: Suite) -> None:
    write_test(greeting, ">=1", body='ask(system="Say hi.")')
    greeting.run(failed=1, code=1)
    assert greeting.failure == [
        'prompt greet >=1: fail, the test never fetched it (kaizen.prompt("greet"))',
        "(task greet)",
    ]


def test_fetching_another_prompt_is_not_enough(greeting: Suite) -> None:
    greeting.prompts("leave", "Say bye.")
    write_test(greeting, ">=1", body='ask(system=kaizen.prompt("leave").text)')
    greeting.run(failed=1, code=1)
    assert "the test never fetched it" in greeting.failure[0]


def test_a_fetch_in_a_fixture_counts(greeting: Suite) -> None:
    greeting.write("""
        import pytest

        @pytest.fixture
        def system(kaizen):
            return kaizen.prompt("greet").text

        @pytest.mark.kaizen_prompt("greet", "==3")
        def test_it(system, ask):
            ask(system=system)
    """)
    greeting.run(passed=1, code=0)


def test_two_prompts_in_one_test(greeting: Suite) -> None:
    greeting.prompts("leave", "Say bye.")
    greeting.write("""
        import pytest

        @pytest.mark.kaizen("both")
        @pytest.mark.kaizen_prompt("greet", "==3")
        @pytest.mark.kaizen_prompt("leave", "==2")
        def test_it(kaizen):
            kaizen.prompt("greet")
            kaizen.prompt("leave")
    """)
    greeting.run(failed=1, code=1)
    assert greeting.failure == ["prompt leave v1 ==2: fail", "(task both)"]


@pytest.mark.parametrize("bad", ["2", "~=2", ">=0", "latest", "sha256:xyz", "", ">=2 <4"])
def test_a_requirement_that_is_none(greeting: Suite, bad: str) -> None:
    write_test(greeting, bad)
    greeting.run(code=4)
    assert (
        f"test_it.py:4: test_it: @pytest.mark.kaizen_prompt: '{bad}' is not a version requirement; "
        "valid: ==3, !=2, >=2,<4, active, locked, sha256:<at least 8 hex digits>"
    ) in greeting.errors
    assert greeting.llm.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'greet'", "missing a required argument: 'requirement'; it takes (task, requirement)"),
        ("", "missing a required argument: 'task'; it takes (task, requirement)"),
        ("'greet', 3", "requirement must be text such as '==3' (found 3)"),
        ("3, '==3'", "task must be a name (found 3)"),
        ("'greet', '==3', 'x'", "too many positional arguments; it takes (task, requirement)"),
    ],
)
def test_wrong_arguments(greeting: Suite, arguments: str, message: str) -> None:
    greeting.write(f"""
        import pytest

        @pytest.mark.kaizen_prompt({arguments})
        def test_it(kaizen):
            kaizen.prompt("greet")
    """)
    greeting.run(code=4)
    assert f"test_it.py:4: test_it: @pytest.mark.kaizen_prompt: {message}" in greeting.errors


def test_a_task_without_a_prompt_file(suite: Suite) -> None:
    write_test(suite, ">=1")
    suite.run(code=4)
    assert f"{suite.root / 'prompts/greet'}: no prompt of 'greet' here" in suite.errors
    assert "write the first version: `kaizen prompts new greet`" in suite.errors
    assert suite.llm.requests == []


def test_a_task_without_a_prompt_file_fetched_in_a_test_fails_that_test(suite: Suite) -> None:
    suite.write("def test_it(kaizen):\n    kaizen.prompt('greet')")
    suite.run(failed=1, code=1)
    assert "write the first version: `kaizen prompts new greet`" in suite.text


def test_two_files_of_one_version(greeting: Suite) -> None:
    greeting.write("Say hey.", "prompts/greet/02.md")
    write_test(greeting, ">=1")
    greeting.run(code=4)
    assert "'02.md' and '2.md' are both version 2; keep one" in greeting.errors


def test_a_locked_version_that_was_edited(greeting: Suite) -> None:
    greeting.write(f"tasks:\n  greet:\n    active: 2\n    versions:\n      2: {SHA256[0]}\n", "kaizen.lock")
    write_test(greeting, ">=1")
    greeting.run(code=4)
    for part in (SHA256[0], SHA256[1], "kaizen prompts new greet"):
        assert part in greeting.errors
    assert greeting.llm.requests == []


def test_a_version_that_was_never_locked_and_was_edited_since_the_last_run(greeting: Suite) -> None:
    write_test(greeting, "==3")
    greeting.run(passed=1, code=0)
    greeting.write("Say something else.", "prompts/greet/3.md")
    greeting.run(passed=1, code=0)
    assert (
        f"prompt 'greet' v3 was edited since an earlier run recorded it (sha256 {SHA256[2][:8]} then, "
    ) in greeting.text
    assert "make a new version: `kaizen prompts new greet`" in greeting.text
    assert "NOT STORED" not in greeting.text
    with greeting.store as store:
        assert len(store.traces()) == 2
        assert store.prompts("greet")[0].text == "Say good day."
    assert greeting.sample.prompts["greet"][1] != SHA256[2]
