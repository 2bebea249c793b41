"""Baselines that are runs in the store, gates on single cases, and what changed since."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import GateResult, Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

GATE = "tasks: {greet: {gate: [{metric: warmth, max_drop: 0.1}]}}"
TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("name", ["a", "b"])
    def test_it(kaizen, ask, name):
        ask(system=kaizen.prompt("greet").text)
        kaizen.score("warmth", {"a": 0.9, "b": WARMTH}[name])
"""
CASE = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("warmth", max_drop=0.1)
    def test_it(kaizen, ask):
        ask()
        kaizen.score("warmth", WARMTH)
"""
SAVE = "--kaizen-save-baseline"


@pytest.fixture
def gated(suite: Suite) -> Suite:
    suite.write("[pytest]", "pytest.ini")
    suite.write(GATE, "kaizen.yaml")
    suite.prompts("greet", "Say hi.\n")
    warm(suite, 0.8)
    return suite


def warm(suite: Suite, warmth: float, text: str = TEST) -> None:
    suite.write(text.replace("WARMTH", str(warmth)))


def task_gate(suite: Suite) -> GateResult:
    (task,) = suite.stored_run.tasks
    (gate,) = task.gates
    return gate


def branch(suite: Suite, name: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=suite.root, check=True)
    subprocess.run(["git", "symbolic-ref", "HEAD", f"refs/heads/{name}"], cwd=suite.root, check=True)


# --- runs in the store


def test_last_compares_with_the_last_run(gated: Suite) -> None:
    gated.run("--kaizen-baseline=last", code=1)
    assert task_gate(gated).sentence == (
        "warmth drop <= 0.10: undecided: no baseline: the store holds no run that completed all cases "
        "of this task"
    )
    first = gated.stored_run.id
    warm(gated, 0.4)
    gated.run("--kaizen-baseline=last", code=1)
    assert task_gate(gated).figure == pytest.approx(0.2)
    assert f"greet: since run {first}: score 0.85 to 0.65 over 2 cases in both" in gated.result.outlines
    gated.run("--kaizen-baseline=last", code=0)
    assert task_gate(gated).figure == pytest.approx(0)


def test_last_passes_over_runs_of_a_part(gated: Suite) -> None:
    gated.run(code=1)
    warm(gated, 0.4)
    gated.run("-k", "b", code=0)
    gated.run("test_it.py::test_it[b]", code=0)
    gated.run("--kaizen-baseline=last", code=1)
    assert task_gate(gated).figure == pytest.approx(0.2)


def test_a_branch_compares_with_its_last_run(gated: Suite) -> None:
    branch(gated, "main")
    gated.run(code=1)
    branch(gated, "feature")
    warm(gated, 0.4)
    gated.run(code=1)
    gated.run("--kaizen-baseline=branch:main", code=1)
    assert task_gate(gated).figure == pytest.approx(0.2)
    gated.run("--kaizen-baseline=branch:feature", code=0)
    gated.run("--kaizen-baseline=branch:other", code=1)
    assert task_gate(gated).sentence == (
        "warmth drop <= 0.10: undecided: no baseline: the store holds no run of branch 'other' that "
        "completed all cases of this task"
    )


def test_what_is_saved_beside_last_goes_to_the_default_file(gated: Suite) -> None:
    gated.run(SAVE, "--kaizen-baseline=last", code=0)
    assert (gated.root / "kaizen-baseline.json").exists()
    assert task_gate(gated).outcome is Outcome.NOT_RUN


# --- gates on single cases


def test_a_case_that_fell_fails(gated: Suite) -> None:
    gated.write("", "kaizen.yaml")
    warm(gated, 0.8, CASE)
    gated.run(SAVE, passed=1, code=0)
    assert gated.gate.outcome is Outcome.NOT_RUN
    warm(gated, 0.7, CASE)
    gated.run(passed=1, code=0)
    warm(gated, 0.65, CASE)
    gated.run(failed=1, code=1)
    assert gated.failure == [
        "warmth fell by 0.15 [-0.17, 0.71] from 0.80, drop <= 0.10: fail over 1 sample",
        "(task greet)",
    ]


def test_a_case_without_a_baseline_is_undecided(gated: Suite) -> None:
    gated.write("", "kaizen.yaml")
    warm(gated, 0.8, CASE)
    gated.run(failed=1, code=1)
    assert gated.failure[0] == (
        "warmth drop <= 0.10: undecided: no baseline: save one with --kaizen-save-baseline"
    )


def test_a_new_case_decides_nothing(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.write("", "kaizen.yaml")
    gated.write(CASE.replace("WARMTH", "0.1"), "test_new.py")
    gated.run(passed=3, code=0)
    (gate,) = gated.cases["test_it"].gates
    assert (gate.outcome, gate.sentence) == (
        Outcome.NOT_RUN,
        "warmth drop <= 0.10: not decided: the case is new since kaizen-baseline.json",
    )


def test_a_case_without_its_score_fails(gated: Suite) -> None:
    gated.write("", "kaizen.yaml")
    warm(gated, 0.8, CASE)
    gated.run(SAVE, code=0)
    gated.write(CASE.replace('kaizen.score("warmth", WARMTH)', "pass"))
    gated.run(failed=1, code=1)
    assert gated.gate.sentence == (
        "warmth drop <= 0.10: fail, nothing was scored in 1 sample (no score named 'warmth' was given)"
    )


def test_a_case_gate_needs_a_task(suite: Suite) -> None:
    suite.write(CASE.replace('@pytest.mark.kaizen("greet")', "").replace("WARMTH", "1"))
    suite.run(code=4)
    assert (
        "max_drop: a baseline holds the cases of a task; say which task the test is a case of" in suite.errors
    )
    assert suite.llm.requests == []


# --- what changed


def test_the_report_shows_what_changed(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.prompts("greet", "Say hi.\n", "Say good day.\n")
    warm(gated, 0.5)
    gated.write(TEST.replace("ask(", "ask(model='claude-opus-4-5', ").replace("WARMTH", "0.5"))
    lines = gated.run(code=1)
    start = lines.index("greet: since kaizen-baseline.json: score 0.85 to 0.70 over 2 cases in both")
    assert lines[start + 1 : start + 3] == [
        "  cases that fell most: test_it.py::test_it[b] 0.80 to 0.50",
        "  criteria that fell most: warmth 0.85 to 0.70",
    ]
    assert "model claude-haiku-4-5 to claude-opus-4-5" in lines[start + 3]
    assert lines[start + 3].startswith("  changed: prompt v1 (")
    assert "    -Say hi." in lines[start + 4 :]
    assert "    +Say good day." in lines[start + 4 :]


def test_a_prompt_that_is_no_longer_a_file_is_found_in_the_store(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.prompts("greet", "Say hi.\n", "Say good day.\n")
    (gated.root / "prompts/greet/1.md").unlink()
    gated.run(code=0)
    assert "    -Say hi." in gated.result.outlines


def test_without_a_baseline_nothing_is_said_of_changes(gated: Suite) -> None:
    gated.run(code=1)
    assert "since" not in gated.text
    (task,) = gated.stored_run.tasks
    assert task.changes is None
