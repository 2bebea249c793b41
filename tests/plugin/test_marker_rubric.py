"""``@pytest.mark.kaizen_rubric(path, min, each)`` with checks; the judge has a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

RUBRIC = """
name: summary
criteria:
  - name: short
    weight: 0.75
    check: {max_length: 12}
  - name: polite
    weight: 0.25
    check: {contains: please}
"""


@pytest.fixture
def summing(suite: Suite) -> Suite:
    suite.write(RUBRIC, "rubrics/summary.yaml")
    return suite


def write_test(suite: Suite, arguments: str, body: str = "ask()", more: str = "") -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("sum")
        @pytest.mark.kaizen_rubric({arguments})
        {more}
        def test_it(kaizen, ask):
            {body}
    """)


def test_the_captured_output_is_scored_by_weight(summing: Suite) -> None:
    write_test(summing, '"rubrics/summary.yaml", min=0.7')
    summing.run(passed=1, code=0)
    assert {score.name: score.value for score in summing.trace.scores} == {
        "summary.short": 1.0,
        "summary.polite": 0.0,
        "summary": 0.75,
    }
    assert summing.gate.sentence == "summary 0.75 [0.12, 0.99] >= 0.70: pass over 1 sample"
    assert summing.table["sum"]["score"].startswith("0.75 ")


def test_below_the_bar_the_failure_names_gate_figure_bar_and_lowest_criterion(summing: Suite) -> None:
    write_test(summing, '"rubrics/summary.yaml"')
    summing.run(failed=1, code=1)
    assert summing.failure == [
        "summary 0.75 [0.12, 0.99] >= 0.80: fail over 1 sample",
        "lowest criterion: summary.polite 0.00: 'please' not found in 'an answer'",
        "(task sum)",
    ]
    assert summing.cases["test_it"].outcome == "failed"
    assert summing.last_line.startswith("kaizen: 1 gate decided over 1 case: 1 not passed (run ")


def test_each_gates_a_criterion_by_itself(summing: Suite) -> None:
    write_test(summing, '"rubrics/summary.yaml", min=0.5, each={"short": 1, "polite": 0.5}')
    summing.run(failed=1, code=1)
    assert summing.failure == [
        "summary.polite 0.00 [0.00, 0.79] >= 0.50: fail over 1 sample",
        "lowest criterion: summary.polite 0.00: 'please' not found in 'an answer'",
        "(task sum)",
    ]
    assert len(summing.cases["test_it"].gates) == 3


def test_what_the_test_says_is_judged_before_what_was_captured(summing: Suite) -> None:
    write_test(summing, '"rubrics/summary.yaml", min=1', body='ask(); kaizen.case(output="please")')
    summing.run(passed=1, code=0)
    assert summing.trace.output == "please"
    assert summing.trace.input == "hello"


def test_a_rubric_without_any_call_fails_and_says_so(summing: Suite) -> None:
    write_test(summing, '"rubrics/summary.yaml", min=0', body="pass")
    summing.run(failed=1, code=1)
    assert summing.failure == [
        "summary >= 0.00: fail, nothing was scored in 1 sample (summary: not scored: summary.short: there "
        "is no output to score: nothing was captured, and kaizen.case gave none; summary.polite: there is "
        "no output to score...)",
        "(task sum)",
    ]


def test_the_path_may_start_beside_the_test(summing: Suite) -> None:
    summing.write("[pytest]", "pytest.ini")
    summing.write(RUBRIC, "tests/own.yaml")
    summing.write(
        """
        import pytest

        @pytest.mark.kaizen_rubric("own.yaml", min=0.5)
        def test_it(ask):
            ask()
        """,
        "tests/test_below.py",
    )
    summing.run(passed=1, code=0)


def test_a_rubric_of_the_task_scores_every_case_without_a_marker(summing: Suite) -> None:
    summing.write("tasks: {sum: {rubric: rubrics/summary.yaml}}", "kaizen.yaml")
    summing.write("""
        import pytest

        @pytest.mark.kaizen("sum")
        def test_it(ask):
            ask()
    """)
    summing.run(passed=1, code=0)
    assert summing.sample.metrics["summary"] == 0.75
    assert summing.cases["test_it"].gates == []


def test_the_rubric_of_the_task_and_of_the_marker_is_scored_once(summing: Suite) -> None:
    summing.write("tasks: {sum: {rubric: rubrics/summary.yaml}}", "kaizen.yaml")
    write_test(summing, '"rubrics/summary.yaml", min=0.7')
    summing.run(passed=1, code=0)
    assert len(summing.trace.scores) == 3


def test_a_rubric_of_a_task_that_no_test_has_is_noted(summing: Suite) -> None:
    summing.write("tasks: {summ: {rubric: rubrics/summary.yaml}}", "kaizen.yaml")
    write_test(summing, '"rubrics/summary.yaml", min=0.7')
    summing.run(passed=1, code=0)
    note = (
        "task 'summ': its rubric rubrics/summary.yaml was never run in this session: no test of it has "
        '@pytest.mark.kaizen(task="summ")'
    )
    assert note in summing.result.outlines
    assert summing.stored_run.notes == [note]


SIGNATURE = "it takes (path, min=0.8, each=None, confidence=None)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", f"missing a required argument: 'path'; {SIGNATURE}"),
        ('"rubrics/summary.yaml", max=1', f"got an unexpected keyword argument 'max'; {SIGNATURE}"),
        ('"rubrics/summary.yaml", min=1.2', "min of 'summary' must lie in [0, 1] (found 1.2)"),
        ('"rubrics/summary.yaml", min=80', "min of 'summary' must lie in [0, 1] (found 80)"),
        ('"rubrics/summary.yaml", min=-0.1', "min of 'summary' must lie in [0, 1] (found -0.1)"),
        ('"rubrics/summary.yaml", min=float("nan")', "min: Input should be a finite number (found nan)"),
        ('"rubrics/summary.yaml", min="high"', "min: Input should be a valid number"),
        ('"rubrics/summary.yaml", min=None', "min: expected a bar in [0, 1] (found None)"),
        ('"rubrics/summary.yaml", each={"polite": None}', "polite: expected a bar in [0, 1] (found None)"),
        (
            '"rubrics/summary.yaml", each={"polite": 2}',
            "min of 'summary.polite' must lie in [0, 1] (found 2)",
        ),
        (
            '"rubrics/summary.yaml", each={"polit": 0.5}',
            "each names 'polit', which is no criterion of summary.yaml; its criteria: short, polite",
        ),
        ('"rubrics/summary.yaml", each=0.5', "each must map criteria to bars (found 0.5)"),
        ('"rubrics/summary.yaml", each=[]', "each must map criteria to bars (found [])"),
        (
            '"rubrics/summary.yaml", confidence=0.3',
            "confidence: Input should be greater than 0.5 (found 0.3)",
        ),
        ("3", "path must be that of a rubric file (found 3)"),
        ('"rubrics/sumary.yaml"', "no rubric at "),
    ],
)
def test_wrong_arguments(summing: Suite, arguments: str, message: str) -> None:
    write_test(summing, arguments)
    summing.run(code=4)
    assert "test_it.py:4: test_it: @pytest.mark.kaizen_rubric: " + message in summing.errors
    assert summing.llm.requests == []
    assert not summing.database.exists()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: s\ncriteria: [", 2, "not valid YAML"),
        ("name: s\ncriteria:\n  - name: a\n    descripton: d\n", 4, "unknown key 'criteria.0.descripton'"),
        (
            "name: s\ncriteria:\n  - {name: a, weight: 0.5, description: d}\n"
            "  - {name: b, weight: 0.4, description: d}\n",
            2,
            "the weights sum to 0.9; they must sum to 1",
        ),
    ],
)
def test_a_broken_rubric_is_refused_before_any_call(
    summing: Suite, text: str, line: int, message: str
) -> None:
    path = summing.write(text, "rubrics/summary.yaml")
    write_test(summing, '"rubrics/summary.yaml"')
    summing.run(code=4)
    assert f"{path}:{line}: {message}" in summing.errors
    assert summing.llm.requests == []


def test_two_rubrics_of_one_name(summing: Suite) -> None:
    summing.write(RUBRIC, "rubrics/other.yaml")
    write_test(summing, '"rubrics/summary.yaml"', more='@pytest.mark.kaizen_rubric("rubrics/other.yaml")')
    summing.run(code=4)
    assert "are both named 'summary', so their scores could not be told apart; rename one" in summing.errors
