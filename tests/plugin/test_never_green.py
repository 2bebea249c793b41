"""Never green by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

RUBRIC = "name: summary\ncriteria:\n  - {name: short, check: {max_length: 100}}\n"
NO_GATE = "kaizen: no gate was decided in this session"


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        ('kaizen_rubric("r.yaml", min=0)', "summary >= 0.00: fail, nothing was scored in 1 sample"),
        ('kaizen_threshold("score", min=0)', "score >= 0.00: fail, nothing was scored in 1 sample"),
        ('kaizen_threshold("warmth", min=0)', "warmth >= 0.00: fail, nothing was scored in 1 sample"),
        ('kaizen_threshold("cost_usd", max=9)', "cost_usd <= 9: fail, "),
        ('kaizen_threshold("calls", max=9)', "calls <= 9: fail, "),
        ('kaizen_prompt("greet", ">=1")', "prompt greet >=1: fail, the test never fetched it"),
    ],
)
@pytest.mark.parametrize("signature", ["", "kaizen"])
def test_what_was_asked_for_and_never_happened_fails(
    suite: Suite, marker: str, sentence: str, signature: str
) -> None:
    suite.prompts("greet", "Say hi.")
    suite.write(RUBRIC, "r.yaml")
    suite.write(f"import pytest\n\n\n@pytest.mark.{marker}\ndef test_it({signature}):\n    pass\n")
    suite.run(failed=1, code=1)
    assert suite.failure[0].startswith(sentence)


def test_a_rubric_of_the_task_with_nothing_to_score_fails_and_says_so(suite: Suite) -> None:
    suite.write(RUBRIC, "r.yaml")
    suite.write("tasks: {greet: {rubric: r.yaml}}", "kaizen.yaml")
    suite.write("import pytest\n\n\n@pytest.mark.kaizen('greet')\ndef test_it():\n    pass\n")
    suite.run(failed=1, code=1)
    assert suite.failure == [
        "rubric summary: not scored: summary.short: there is no output to score: nothing was captured, "
        "and kaizen.case gave none",
        "(task greet)",
    ]


def test_a_call_that_failed_is_no_output(suite: Suite) -> None:
    suite.llm.fail(500, times=None)
    suite.write(RUBRIC, "r.yaml")
    suite.write("""
        import contextlib
        import pytest

        @pytest.mark.kaizen_rubric("r.yaml", min=0)
        def test_it(ask):
            with contextlib.suppress(Exception):
                ask()
    """)
    suite.run(failed=1, code=1)
    assert "nothing was scored in 1 sample" in suite.failure[0]


def test_the_last_line_says_that_no_gate_was_decided(suite: Suite) -> None:
    suite.write("def test_it(ask):\n    ask()\n")
    suite.run(passed=1, code=0)
    assert suite.last_line == NO_GATE


def test_a_suite_without_any_call_says_so_too(suite: Suite) -> None:
    suite.write("def test_it():\n    pass\n")
    suite.run(passed=1, code=0)
    assert suite.last_line == NO_GATE


def test_skipped_cases_decide_nothing(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("calls", max=9)
        def test_it(ask):
            pytest.skip("later")
    """)
    suite.run(skipped=1, code=0)
    assert suite.last_line == NO_GATE
    assert suite.cases["test_it"].complete is False


def test_a_call_before_the_skip_is_kept_and_not_judged(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("calls", max=0)
        def test_it(ask, kaizen):
            ask("before")
            kaizen.check("polite", False)
            pytest.skip("later")
    """)
    suite.run(skipped=1, code=0)
    assert suite.trace.input == "before"
    assert suite.sample.passed is None
    assert suite.cases["test_it"].gates == []


def test_a_check_of_a_rubric_that_breaks_is_an_error(suite: Suite) -> None:
    suite.write("name: s\ncriteria:\n  - {name: a, check: {python: 'mod:broken'}}\n", "r.yaml")
    suite.write("def broken(output, input, reference):\n    raise RuntimeError('no scale')\n", "mod.py")
    suite.write(
        "import pytest\n\n\n@pytest.mark.kaizen_rubric('r.yaml', min=0)\ndef test_it(ask):\n    ask()\n"
    )
    suite.run("-o", "pythonpath=.", failed=1, code=1)
    assert "no scale" in suite.failure[0]
    assert suite.sample.passed is None
    assert suite.sample.missing["pass_rate"] == "a check broke"


def test_a_test_that_swallows_every_exception_does_not_swallow_its_gates(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("warmth", min=0.5)
        def test_it(ask, kaizen):
            try:
                ask()
                kaizen.score("warmth", 0.1)
            except BaseException:
                pass
    """)
    suite.run(failed=1, code=1)


def test_an_expected_failure_may_be_that_of_a_gate(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.xfail(strict=True)
        @pytest.mark.kaizen_threshold("calls", max=0)
        def test_it(ask):
            ask()
    """)
    suite.run(xfailed=1, code=0)
    assert "1 gate decided over 1 case: 1 not passed" in suite.last_line
