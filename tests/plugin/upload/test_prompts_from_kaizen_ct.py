"""``prompts: {from: kaizen-ct}``: the platform's active version runs, else the pinned one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.prompts.files import sha256_of

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import FakeCT

YAML = "prompts: {from: kaizen-ct}\ntasks: {support: {}}\n"
ASKS = """
    import pytest

    @pytest.mark.kaizen("support")
    @pytest.mark.kaizen_prompt("support", "active")
    def test_it(kaizen, ask):
        ask("hello", system=kaizen.prompt("support").render())
"""
PINNED = "tasks:\n  support:\n    active: 1\n    versions:\n      1: {}\n"


def pin(suite: Suite, text: str) -> None:
    suite.prompts("support", text)
    suite.write(PINNED.format(sha256_of(text)), "kaizen.lock")


@pytest.fixture(autouse=True)
def project(suite: Suite) -> None:
    suite.write(YAML, "kaizen.yaml")
    suite.write(ASKS)


def test_the_active_version_there_runs(suite: Suite, ct: FakeCT) -> None:
    ct.know("support")
    ct.prompt, ct.version = "Be kind.\n", 7
    suite.run(passed=1, code=0)
    assert suite.llm.record[0].body["system"] == "Be kind."
    assert suite.sample.prompts == {"support": (7, sha256_of("Be kind."))}
    with suite.store as store:
        assert [(v.version, v.text) for v in store.prompts("support")] == [(7, "Be kind.")]
    assert suite.table["support"]["prompt"] == "v7"


def test_a_version_that_is_asked_for_goes_before_it(suite: Suite, ct: FakeCT) -> None:
    pin(suite, "Be brief.")
    ct.prompt = "Be kind."
    suite.run("--kaizen-prompt-version=support=1", passed=1, code=0)
    assert suite.llm.record[0].body["system"] == "Be brief."


def test_the_pinned_text_where_the_server_is_down(suite: Suite, ct: FakeCT) -> None:
    pin(suite, "Be brief.")
    ct.down = 503
    suite.run(passed=1, code=0)
    assert suite.llm.record[0].body["system"] == "Be brief."
    warning = "prompt 'support': version 1 as kaizen.lock pins it, not Kaizen CT's: "
    assert any(line.startswith(warning) and "503" in line for line in suite.result.outlines)
    assert len(ct.requests) == 1


def test_the_pinned_text_where_the_task_has_no_prompt_there(suite: Suite, ct: FakeCT) -> None:
    pin(suite, "Be brief.")
    suite.run(passed=1, code=0)
    assert "not Kaizen CT's: Kaizen CT has no task 'support'" in suite.text
    assert suite.llm.record[0].body["system"] == "Be brief."
    assert ct.down is None


def test_nothing_pinned_is_a_usage_error_before_any_call(suite: Suite, ct: FakeCT) -> None:
    suite.prompts("support", "Be brief.")
    ct.down = 503
    suite.run(code=4)
    assert "nothing is pinned for 'support' that could run instead" in suite.errors
    assert suite.llm.record == []


def test_without_a_key_nothing_runs(suite: Suite) -> None:
    suite.run(code=4)
    assert "prompts: from kaizen-ct: no key: set KAIZEN_API_KEY in the environment" in suite.errors
    assert suite.llm.record == []
