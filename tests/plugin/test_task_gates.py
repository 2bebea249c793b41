"""Gates on whole tasks, from ``kaizen.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

GATE = "tasks: {greet: {gate: [{metric: warmth, min: 0.5}]}}"
TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("warmth", [0.2, 0.4, 0.6])
    def test_it(kaizen, ask, warmth):
        ask()
        kaizen.score("warmth", warmth)
"""
FAILED = "warmth 0.40 [0.10, 0.79] >= 0.50: fail over 3 samples"


@pytest.fixture
def gated(suite: Suite) -> Suite:
    suite.write("[pytest]", "pytest.ini")
    suite.write(GATE, "kaizen.yaml")
    suite.write(TEST)
    return suite


def outcome(suite: Suite) -> Outcome:
    (task,) = suite.stored_run.tasks
    (gate,) = task.gates
    return gate.outcome


def undecided(suite: Suite, reason: str) -> None:
    """The gate was not decided, which the report says, and nothing follows from it."""
    assert outcome(suite) is Outcome.NOT_RUN
    suite.result.stdout.fnmatch_lines([f"greet: warmth*: not decided: {reason}"])
    assert suite.last_line == "kaizen: no gate was decided in this session"
    assert suite.table["greet"]["gate"] == "not run"


def test_a_gate_that_passes(gated: Suite) -> None:
    gated.write(GATE.replace("0.5", "0.4"), "kaizen.yaml")
    gated.run(passed=3, code=0)
    assert outcome(gated) is Outcome.PASS
    assert gated.table["greet"]["gate"] == "pass"
    assert gated.last_line.startswith("kaizen: 1 gate decided over 3 cases: all passed (run ")


def test_a_gate_that_fails_makes_the_session_fail_and_says_so_last(gated: Suite) -> None:
    gated.run(passed=3, code=1)
    assert gated.last_line.startswith("kaizen: FAILED on a whole task: greet: warmth 0.40 [")
    assert gated.last_line.endswith("] >= 0.50: fail over 3 samples")
    assert gated.table["greet"]["gate"] == "fail"
    assert gated.stored_run.exit_status == 1
    assert outcome(gated) is Outcome.FAIL


@pytest.mark.parametrize("quiet", ["-q", "-qq", "--no-summary", "--no-header"])
def test_the_last_line_is_last_however_quiet(gated: Suite, quiet: str) -> None:
    gated.run(quiet, code=1)
    assert gated.last_line.startswith("kaizen: FAILED on a whole task: greet: warmth 0.40 [")


def test_without_a_terminal_it_goes_to_stderr(gated: Suite) -> None:
    gated.run_alone("-p", "no:terminal", code=1)
    assert gated.errors.splitlines()[-1].startswith("kaizen: FAILED on a whole task: greet: warmth 0.40 [")
    assert gated.text == ""


def test_several_gates_that_fail(gated: Suite) -> None:
    gated.write(
        "tasks: {greet: {gate: [{metric: warmth, min: 0.5}, {metric: calls, max: 0}]}}", "kaizen.yaml"
    )
    gated.run(passed=3, code=1)
    assert gated.last_line.endswith(" (and 1 more)")
    assert "greet: calls 1 <= 0: fail over 3 samples" in gated.result.outlines


@pytest.mark.parametrize("status", [1, 2])
def test_another_exit_status_stays(gated: Suite, status: int) -> None:
    end = "assert False" if status == 1 else 'pytest.exit("enough")'
    gated.write(f"import pytest\n\n\ndef test_last():\n    {end}\n", "test_z.py")
    gated.run(code=status)


def test_deselected_by_keyword(gated: Suite) -> None:
    gated.run("-k", "0.2 or 0.4", passed=2, deselected=1, code=0)
    undecided(gated, "2 of 3 cases ran")
    assert gated.table["greet"]["cases"] == "2 of 3"


def test_deselected_by_option(gated: Suite) -> None:
    gated.run("--deselect", "test_it.py::test_it[0.2]", passed=2, deselected=1, code=0)
    undecided(gated, "2 of 3 cases ran")


def test_stopped_at_the_first_failure(gated: Suite) -> None:
    gated.write(TEST + "        assert warmth < 0.3\n")
    gated.run("-x", passed=1, failed=1, code=1)
    undecided(gated, "2 of 3 cases ran")


def test_last_failed(gated: Suite) -> None:
    gated.write(TEST + "        assert warmth < 0.5\n")
    gated.run(passed=2, failed=1, code=1)
    assert outcome(gated) is Outcome.FAIL
    gated.write(TEST)
    gated.run("--lf", passed=1, code=0)
    undecided(gated, "test_it.py names the task too, and was not run as a whole")


def test_last_failed_with_nothing_failed_is_the_whole(gated: Suite) -> None:
    gated.run(passed=3, code=1)
    gated.run("--lf", passed=3, code=1)
    assert outcome(gated) is Outcome.FAIL


def test_last_failed_leaves_out_whole_files(gated: Suite) -> None:
    gated.write(TEST.replace("0.2, 0.4, 0.6", "0.2"), "test_other.py")
    gated.write(TEST + "        assert warmth < 0.5\n")
    gated.run(passed=3, failed=1, code=1)
    gated.write(TEST)
    gated.run("--lf", code=0)
    assert outcome(gated) is Outcome.NOT_RUN


def test_one_node(gated: Suite) -> None:
    gated.run("test_it.py::test_it[0.2]", passed=1, code=0)
    undecided(gated, "test_it.py names the task too, and was not run as a whole")


def test_one_of_two_files(gated: Suite) -> None:
    gated.write(TEST, "test_other.py")
    gated.run("test_it.py", passed=3, code=0)
    undecided(gated, "test_other.py names the task too, and was not run as a whole")


def test_all_files_by_name(gated: Suite) -> None:
    gated.write(TEST, "test_other.py")
    gated.run("test_it.py", "test_other.py", passed=6, code=1)
    assert outcome(gated) is Outcome.FAIL


def test_a_file_that_names_another_task_is_not_missed(gated: Suite) -> None:
    gated.write(TEST.replace("greet", "leave"), "test_other.py")
    gated.run("test_it.py", passed=3, code=1)
    assert outcome(gated) is Outcome.FAIL


def test_the_folder_as_an_argument_is_the_whole(gated: Suite) -> None:
    gated.run(".", passed=3, code=1)
    assert outcome(gated) is Outcome.FAIL


def test_ignored_files_are_missed(gated: Suite) -> None:
    gated.write(TEST, "test_other.py")
    gated.run("--ignore", "test_other.py", passed=3, code=0)
    assert outcome(gated) is Outcome.NOT_RUN


def test_a_folder_below_is_part_of_it(gated: Suite) -> None:
    gated.write("", "deep/__init__.py")
    gated.write(TEST, "deep/test_other.py")
    gated.run("deep", passed=3, code=0)
    undecided(gated, "test_it.py names the task too, and was not run as a whole")


@pytest.mark.parametrize("how", ['pytest.skip("later")', "raise __import__('unittest').SkipTest"])
def test_a_case_that_does_not_run_to_its_end(gated: Suite, how: str) -> None:
    gated.write(TEST + f"        if warmth == 0.6:\n            {how}\n")
    gated.run(code=0)
    undecided(gated, "2 of 3 cases ran")


def test_a_case_that_is_expected_to_fail_has_run(gated: Suite) -> None:
    gated.write(TEST + "        if warmth == 0.6:\n            pytest.xfail('known')\n")
    gated.run(passed=2, xfailed=1, code=1)
    assert outcome(gated) is Outcome.FAIL


def test_a_case_skipped_by_its_marker(gated: Suite) -> None:
    gated.write(TEST.replace("0.6]", "pytest.param(0.6, marks=pytest.mark.skip)]"))
    gated.run(passed=2, skipped=1, code=0)
    undecided(gated, "2 of 3 cases ran")


def test_a_case_whose_fixture_fails(gated: Suite) -> None:
    gated.write(
        TEST.replace("def test_it(kaizen", "def test_it(broken, kaizen")
        + """
    @pytest.fixture
    def broken(warmth):
        assert warmth < 0.5
"""
    )
    gated.run(passed=2, errors=1, code=1)
    undecided(gated, "2 of 3 cases ran")
    assert gated.cases["test_it[0.6]"].outcome == "error"


def test_a_gate_for_a_task_that_no_test_has_decides_nothing(gated: Suite) -> None:
    gated.write(GATE.replace("greet", "great"), "kaizen.yaml")
    gated.run(passed=3, code=0)
    assert gated.last_line == "kaizen: no gate was decided in this session"
    note = (
        "task 'great': its gate was never decided in this session: no test of it has "
        '@pytest.mark.kaizen(task="great")'
    )
    assert note in gated.result.outlines


def test_a_gate_over_a_missing_score_is_no_pass(gated: Suite) -> None:
    gated.write("import pytest\n\n\n@pytest.mark.kaizen('greet')\ndef test_it(ask):\n    ask()\n")
    gated.run(passed=1, code=1)
    assert gated.last_line == (
        "kaizen: FAILED on a whole task: greet: warmth >= 0.50: fail, nothing was scored in 1 sample "
        "(no score named 'warmth' was given)"
    )


def test_collect_only_decides_nothing(gated: Suite) -> None:
    gated.run("--collect-only", "-q", code=0)
    assert "kaizen:" not in gated.text


@pytest.mark.parametrize(
    ("gate", "line", "message"),
    [
        ("{metric: warmth}", 5, "give exactly one of min, max and max_drop (found none)"),
        ("{metric: warmth, min: 2}", 5, "min of 'warmth' must lie in [0, 1] (found 2)"),
        ("{metric: warmth, mim: 0.5}", 5, "unknown key 'tasks.greet.gate.0.mim'"),
        ("{min: 0.5}", 5, "'tasks.greet.gate.0.metric' is missing"),
        ("{metric: warmth, min: [}", 5, "not valid YAML"),
        ("{metric: warmth, min: 0.5, share: 3}", 5, "share: "),
        ("{metric: warmth, max_drop: 0.1, share: 0.5}", 5, "share goes with min or max, not with max_drop"),
    ],
)
def test_a_gate_that_is_wrong(gated: Suite, gate: str, line: int, message: str) -> None:
    path = gated.write(f"\ntasks:\n  greet:\n    gate:\n      - {gate}\n", "kaizen.yaml")
    gated.run(code=4)
    assert f"{path}:{line}: " in gated.errors
    assert message in gated.errors
    assert gated.llm.requests == []
