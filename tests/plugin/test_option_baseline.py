"""``--kaizen-baseline``, ``--kaizen-save-baseline`` and the gates that need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.models import GateResult, Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

GATE = "tasks: {greet: {gate: [{metric: warmth, max_drop: 0.1}]}}"
TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("name", ["a", "b", "c"])
    def test_it(kaizen, ask, name):
        ask()
        kaizen.score("warmth", {"a": 0.9, "b": 0.8, "c": 0.7}[name])
"""
SAVE = "--kaizen-save-baseline"
DEFAULT = "kaizen-baseline.json"
SAVED = f"saved the baseline of greet, 3 cases, to {DEFAULT}"
NO_BASELINE = "warmth drop <= 0.10: undecided: no baseline: save one with --kaizen-save-baseline"


@pytest.fixture
def gated(suite: Suite) -> Suite:
    suite.write("[pytest]", "pytest.ini")
    suite.write(GATE, "kaizen.yaml")
    suite.write(TEST)
    return suite


def fall(suite: Suite, by: float = 0.2) -> None:
    """Let the cases b and c fall."""
    suite.write(TEST.replace('"b": 0.8, "c": 0.7', f'"b": {0.8 - by:.2f}, "c": {0.7 - by:.2f}'))


def saved(suite: Suite, name: str = DEFAULT) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((suite.root / name).read_text(encoding="utf-8"))
    return content


def task_gate(suite: Suite) -> GateResult:
    (task,) = suite.stored_run.tasks
    (gate,) = task.gates
    return gate


def test_saves_a_file_fit_to_be_committed(gated: Suite) -> None:
    gated.run(SAVE, passed=3, code=0)
    assert SAVED in gated.result.outlines
    text = (gated.root / DEFAULT).read_text(encoding="utf-8")
    assert str(gated.root) not in text
    assert text.endswith("}\n")
    assert '          "warmth": {"mean": 0.9, "samples": 1}\n' in text
    content = json.loads(text)
    created = content["tasks"]["greet"].pop("created")
    assert len(created) == len("2026-01-01")
    mean = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert content == {
        "format": 1,
        "tasks": {
            "greet": {
                "cases": {
                    f"test_it.py::test_it[{name}]": {
                        "pass_rate": {"mean": 1.0, "samples": 1},
                        "score": {"mean": mean[name], "samples": 1},
                        "warmth": {"mean": mean[name], "samples": 1},
                    }
                    for name in "abc"
                },
                "judges": [],
                "models": ["claude-haiku-4-5"],
                "prompts": [],
                "revision": None,
                "rubrics": {},
            }
        },
    }


def test_the_same_results_make_the_same_file(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    first = (gated.root / DEFAULT).read_bytes()
    gated.run(SAVE, "-p", "no:randomly", code=0)
    assert (gated.root / DEFAULT).read_bytes() == first


def test_holds_prompt_judge_and_rubric(suite: Suite) -> None:
    suite.prompts("greet", "Say hi.", "Say hello.")
    suite.write("name: tone\ncriteria:\n  - {name: kind, description: Is kind.}", "tone.yaml")
    suite.llm.reply(
        json={"kind": {"reason": "so", "score": "yes"}}, when=lambda request: bool(request.schema)
    )
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_rubric("tone.yaml", min=0.5)
        def test_it(kaizen, ask):
            ask(system=kaizen.prompt("greet").text)
    """)
    suite.run(SAVE, passed=1)
    task = saved(suite)["tasks"]["greet"]
    (prompt,) = task["prompts"]
    assert (prompt["version"], len(prompt["sha256"])) == (2, 64)
    assert task["judges"] == ["claude-haiku-4-5"]
    assert [(name, len(sha256)) for name, sha256 in task["rubrics"].items()] == [("tone", 64)]
    assert sorted(task["cases"]["test_it.py::test_it"]) == ["pass_rate", "score", "tone", "tone.kind"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--deselect", "test_it.py::test_it[c]"), "greet: 2 of 3 cases ran"),
        (("-k", "nothing"), None),
        (("test_it.py::test_it[a]",), "greet: test_it.py names the task too, and was not run as a whole"),
    ],
)
def test_a_part_saves_none(gated: Suite, arguments: tuple[str, ...], why: str | None) -> None:
    gated.run(SAVE, *arguments)
    assert not (gated.root / DEFAULT).exists()
    if why is not None:
        assert f"saves no baseline: {why}" in gated.result.outlines


def test_a_part_of_a_task_without_a_gate_saves_none(gated: Suite) -> None:
    gated.write(GATE.replace("greet", "leave"), "kaizen.yaml")
    gated.run(SAVE, "test_it.py::test_it[a]", passed=1, code=0)
    assert not (gated.root / DEFAULT).exists()
    assert any(line.startswith("saves no baseline: greet: ") for line in gated.result.outlines)


def test_a_case_that_breaks_before_its_end_saves_none(gated: Suite) -> None:
    gated.write(TEST.replace("ask()", "ask() if name != 'b' else pytest.skip('later')"))
    gated.run(SAVE, passed=2, skipped=1, code=0)
    assert "saves no baseline: greet: 2 of 3 cases ran" in gated.result.outlines


def test_nothing_to_save(suite: Suite) -> None:
    suite.write("def test_it(kaizen):\n    kaizen.score('warmth', 1)\n")
    suite.run(SAVE, passed=1, code=0)
    assert (
        'saves no baseline: no test is a case of a task: mark one @pytest.mark.kaizen("my_task")'
        in suite.result.outlines
    )
    assert not (suite.root / DEFAULT).exists()


def test_a_run_that_fails_says_so_when_it_saves(gated: Suite) -> None:
    gated.write(TEST + "        assert name != 'c'\n")
    gated.run(SAVE, passed=2, failed=1, code=1)
    assert f"{SAVED} (though this run failed)" in gated.result.outlines


def test_a_file_that_cannot_be_written(gated: Suite) -> None:
    gated.write("", "taken")
    gated.run(SAVE, "--kaizen-baseline", "taken/base.json", passed=3, code=0)
    assert any(
        line.startswith("NOT SAVED: the baseline could not be written: ") for line in gated.result.outlines
    )


def test_tasks_that_did_not_run_stay_in_the_file(gated: Suite) -> None:
    gated.write(TEST.replace("greet", "leave").replace("0.9", "0.5"), "test_leave.py")
    gated.run(SAVE, code=0)
    before = saved(gated)["tasks"]
    (gated.root / "test_leave.py").unlink()
    fall(gated, 0.05)
    gated.run(SAVE, code=0)
    after = saved(gated)["tasks"]
    assert after["leave"] == before["leave"]
    assert after["greet"] != before["greet"]


# --- gates on tasks


@pytest.mark.parametrize(("by", "outcome"), [(0.15, Outcome.PASS), (0.16, Outcome.FAIL)])
def test_a_task_gate_compares_with_the_file(gated: Suite, by: float, outcome: Outcome) -> None:
    gated.run(SAVE, code=0)
    fall(gated, by)
    gated.run(passed=3, code=int(outcome is Outcome.FAIL))
    gate = task_gate(gated)
    assert gate.outcome is outcome
    assert gate.figure == pytest.approx(2 * by / 3)
    assert gate.samples == 3


def test_the_failure_names_what_fell(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    fall(gated, 0.2)
    gated.run(passed=3, code=1)
    assert "kaizen: FAILED on a whole task: greet: warmth fell by 0.13 [" in gated.last_line
    assert gated.last_line.endswith(
        "], drop <= 0.10: fail over 3 cases; fell most: test_it.py::test_it[b] (0.80 to 0.60), "
        "test_it.py::test_it[c] (0.70 to 0.50)"
    )


def test_with_confidence_few_cases_leave_it_undecided(gated: Suite) -> None:
    gated.write(GATE.replace("0.1", "0.1, confidence: 0.95"), "kaizen.yaml")
    gated.run(SAVE, code=0)
    gated.run(passed=3, code=1)
    assert task_gate(gated).sentence.endswith("undecided after 3 of 3 cases (error <= 5%)")


def test_new_and_removed_cases_are_named_and_do_not_count(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.write(TEST.replace('"c"', '"d"').replace("0.7", "0.0"))
    gated.run(passed=3, code=0)
    gate = task_gate(gated)
    assert gate.figure == pytest.approx(0)
    assert gate.sentence.endswith(
        "pass over 2 cases; new: test_it.py::test_it[d]; removed: test_it.py::test_it[c]"
    )


def test_a_missing_score_is_no_pass(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.write(TEST.replace("kaizen.score", "name == 'b' or kaizen.score"))
    gated.run(passed=3, code=1)
    gate = task_gate(gated)
    assert (gate.outcome, gate.missing) == (Outcome.UNDECIDED, 1)


def test_a_part_decides_nothing(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    fall(gated)
    gated.run("-k", "b or c", passed=2, deselected=1, code=0)
    assert task_gate(gated).sentence == "warmth drop <= 0.10: not decided: 2 of 3 cases ran"


def test_without_a_baseline_it_is_undecided(gated: Suite) -> None:
    gated.run(passed=3, code=1)
    assert (task_gate(gated).outcome, task_gate(gated).sentence) == (Outcome.UNDECIDED, NO_BASELINE)


def test_without_a_baseline_it_passes_where_undecided_may(gated: Suite) -> None:
    gated.write("[pytest]\nkaizen_undecided = pass", "pytest.ini")
    gated.run(passed=3, code=0)
    assert task_gate(gated).sentence == NO_BASELINE


def test_the_run_that_saves_the_first_baseline_is_not_failed_by_it(gated: Suite) -> None:
    gated.run(SAVE, passed=3, code=0)
    assert (task_gate(gated).outcome, task_gate(gated).sentence) == (
        Outcome.NOT_RUN,
        "warmth drop <= 0.10: not decided: there is no baseline for it yet; this run is to save one",
    )


def test_saving_again_still_compares_with_the_old_one(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    fall(gated)
    gated.run(SAVE, code=1)
    assert task_gate(gated).outcome is Outcome.FAIL
    gated.run(code=0)
    assert task_gate(gated).outcome is Outcome.PASS


def test_a_task_that_the_file_does_not_hold(gated: Suite) -> None:
    gated.write('{"format": 1, "tasks": {}}', DEFAULT)
    gated.run(passed=3, code=1)
    assert task_gate(gated).sentence == (
        "warmth drop <= 0.10: undecided: no baseline: kaizen-baseline.json does not hold this task: "
        "save one with --kaizen-save-baseline"
    )


def test_a_metric_that_the_file_does_not_hold(gated: Suite) -> None:
    gated.run(SAVE, code=0)
    gated.write(TEST.replace('"warmth"', '"heat"'))
    gated.write(GATE.replace("warmth", "heat"), "kaizen.yaml")
    gated.run(passed=3, code=1)
    assert task_gate(gated).sentence == (
        "heat drop <= 0.10: undecided: no baseline: kaizen-baseline.json holds no 'heat' for it: "
        "save one with --kaizen-save-baseline"
    )


# --- where the baseline is


def test_command_line_then_environment_then_ini(gated: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    for by, name in ((0.5, "one.json"), (0.3, "two.json"), (0.1, "deep/three.json")):
        fall(gated, by)
        gated.run(SAVE, "--kaizen-baseline", name, code=0)
    fall(gated, 0)

    gated.write("[pytest]\nkaizen_baseline = one.json", "pytest.ini")
    gated.run(code=0)
    assert task_gate(gated).figure == pytest.approx(-1 / 3)
    monkeypatch.setenv("KAIZEN_BASELINE", "two.json")
    gated.run(code=0)
    assert task_gate(gated).figure == pytest.approx(-0.2)
    gated.run("--kaizen-baseline", "deep/three.json", code=0)
    assert task_gate(gated).figure == pytest.approx(-0.2 / 3)


def refused(suite: Suite, message: str, *arguments: str) -> None:
    suite.run(*arguments, code=4)
    assert message in suite.errors
    assert suite.llm.requests == []


def test_a_file_that_is_not_there(gated: Suite) -> None:
    refused(
        gated,
        f"{gated.root / 'base.json'}: no such file; save a baseline with --kaizen-save-baseline, or "
        "correct --kaizen-baseline",
        "--kaizen-baseline=base.json",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n<<<<<<< HEAD\n", ":2: not valid JSON: "),
        ("[]", ": expected a baseline with 'format': 1 (found None); "),
        ('{"format": 2, "tasks": {}}', ": expected a baseline with 'format': 1 (found 2); "),
        ('{"format": true, "tasks": {}}', ": expected a baseline with 'format': 1 (found True); "),
        ('{"format": 1}', ": tasks: Field required; "),
        ('{"format": 1, "tasks": {"greet": {}}}', ": tasks.greet.created: Field required; "),
        ('{"format": 1, "tasks": {"greet": {"created": "x"}}}', ": tasks.greet.created: "),
        (
            '{"format": 1, "tasks": {"greet": {"created": "2026-01-01", "cases": {"a": {"warmth": '
            '{"mean": 2, "samples": 1}}}}}}',
            ": tasks.greet.cases.a.warmth.mean: ",
        ),
    ],
)
def test_a_malformed_file(gated: Suite, text: str, message: str) -> None:
    path: Path = gated.write(text, DEFAULT)
    refused(gated, f"{path}{message}")
    assert "put it back from version control, or delete it and save it anew with" in gated.errors


def test_a_branch_without_a_name(gated: Suite) -> None:
    message = "--kaizen-baseline: expected a file, last or branch:NAME (found 'branch:' without a name)"
    refused(gated, message, "--kaizen-baseline=branch:")
