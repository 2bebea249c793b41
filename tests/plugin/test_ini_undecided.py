"""``kaizen_undecided = fail | pass``: what an undecided gate does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

# One of two scores is there and high; the other's scorer broke.
TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("name", ["Ada", "Bob"])
    def test_it(kaizen, name, ask):
        ask(name)
"""
SCORER = """
def warmth(trace):
    from pytest_kaizen import Score
    if trace.input == "Bob":
        raise RuntimeError("no thermometer")
    return Score(name="warmth", value=1.0, source="sdk")

def pytest_kaizen_scorers():
    return [warmth]
"""
GATE = "tasks: {greet: {gate: [{metric: warmth, min: 0.5}]}}"
SENTENCE = (
    "warmth 1.00 [0.21, 1.00] >= 0.50: undecided over 1 sample, 1 missing "
    "(warmth: RuntimeError: no thermometer)"
)


@pytest.fixture
def half_scored(suite: Suite) -> Suite:
    suite.add_to_conftest(SCORER)
    suite.write(GATE, "kaizen.yaml")
    suite.write(TEST)
    return suite


def test_undecided_fails_by_default(half_scored: Suite) -> None:
    half_scored.run(passed=2, code=1)
    assert half_scored.last_line == f"kaizen: FAILED on a whole task: greet: {SENTENCE}"


def test_undecided_passes_when_told_so_and_is_still_shown(half_scored: Suite) -> None:
    half_scored.write("[pytest]\nkaizen_undecided = pass", "pytest.ini")
    half_scored.run(passed=2, code=0)
    assert f"greet: {SENTENCE}" in half_scored.result.outlines
    assert half_scored.table["greet"]["gate"] == "undecided"
    assert "1 gate decided over 2 cases: 1 not passed" in half_scored.last_line


def test_ini_before_yaml_and_environment_before_ini(
    half_scored: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_scored.write(f"{GATE}\nundecided: pass", "kaizen.yaml")
    half_scored.run(passed=2, code=0)
    half_scored.write("[pytest]\nkaizen_undecided = fail", "pytest.ini")
    half_scored.run(passed=2, code=1)
    monkeypatch.setenv("KAIZEN_UNDECIDED", "pass")
    half_scored.run(passed=2, code=0)


def test_another_value_is_a_usage_error(half_scored: Suite) -> None:
    half_scored.write("[pytest]\nkaizen_undecided = maybe", "pytest.ini")
    half_scored.run(code=4)
    assert "ini key kaizen_undecided: expected one of fail, pass (found 'maybe')" in half_scored.errors
