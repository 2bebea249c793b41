"""``--kaizen``, and what becomes of a suite without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    def test_greeting(ask, kaizen):
        assert ask("hi") == "an answer"
        kaizen.check("is an answer", True)

    def test_plain():
        pass
"""


def test_on_records_scores_and_reports(suite: Suite) -> None:
    suite.write(TEST)
    suite.run(passed=2, code=0)
    row = suite.table["greet"]
    assert row.pop("p50/p95").endswith(" ms")
    assert row == {
        "task": "greet",
        "cases": "1",
        "samples": "1",
        "score": "1.00 [0.21, 1.00]",
        "pass": "100%",
        "prompt": "",
        "calls": "1",
        "tokens": "1/3",
        "cost": "$0.0000",
        "gate": "none",
    }
    trace = suite.trace
    assert (trace.task, trace.name, trace.input, trace.output) == (
        "greet",
        "test_greeting",
        "hi",
        "an answer",
    )
    assert [(score.name, score.value) for score in trace.scores] == [("is an answer", 1.0)]
    assert suite.span.model == "claude-haiku-4-5"
    run = suite.stored_run
    assert (run.status, run.exit_status) == ("completed", 0)


def test_off_skips_with_the_reason_and_leaves_nothing(suite: Suite) -> None:
    suite.write(TEST)
    suite.run("-rs", on=False, passed=1, skipped=1, code=0)
    suite.result.stdout.fnmatch_lines(["SKIPPED*test_it.py*needs --kaizen"])
    assert "kaizen:" not in suite.text
    assert not (suite.root / ".kaizen").exists()
    assert suite.llm.requests == []


def test_off_skips_before_fixtures_are_set_up(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture
        def costly():
            raise AssertionError("set up")

        @pytest.mark.kaizen("greet")
        def test_marked(costly):
            pass

        def test_uses_the_fixture(costly, kaizen):
            pass
    """)
    suite.run(on=False, skipped=2, code=0)


def test_off_a_fixture_reached_by_name_skips_too(suite: Suite) -> None:
    suite.write("""
        def test_dynamic(request):
            request.getfixturevalue("kaizen")
            raise AssertionError("went on")
    """)
    suite.run("-rs", on=False, skipped=1, code=0)
    assert "needs --kaizen" in suite.text


def test_on_a_fixture_reached_by_name_works(suite: Suite) -> None:
    suite.write("""
        def test_dynamic(request, ask):
            ask()
            request.getfixturevalue("kaizen").check("said something", True)
    """)
    suite.run(passed=1, code=0)
    assert [score.name for score in suite.trace.scores] == ["said something"]


def test_collect_only_prints_no_report_and_writes_no_file(suite: Suite) -> None:
    suite.write(TEST)
    suite.write("tasks: {greet: {gate: [{metric: score, min: 0.5}]}}", "kaizen.yaml")
    suite.run("--collect-only", "-q", code=0)
    assert suite.result.outlines[:2] == ["test_it.py::test_greeting", "test_it.py::test_plain"]
    assert "kaizen" not in suite.text
    assert not (suite.root / ".kaizen").exists()


def test_no_tests_keeps_pytests_own_status_and_writes_no_file(suite: Suite) -> None:
    suite.run(code=pytest.ExitCode.NO_TESTS_COLLECTED)
    assert not (suite.root / ".kaizen").exists()


def test_a_test_that_is_not_marked_and_calls_a_model_is_recorded(suite: Suite) -> None:
    suite.write("""
        def test_calls(ask):
            ask("from an unmarked test")

        def test_does_not():
            pass
    """)
    suite.run(passed=2, code=0)
    assert list(suite.cases) == ["test_calls"]
    assert suite.trace.task is None
    assert suite.trace.input == "from an unmarked test"
    assert suite.table["(no task)"]["cases"] == "1"


def test_keys_never_reach_the_disk_or_the_output(suite: Suite) -> None:
    suite.write("""
        def test_calls(ask):
            ask("my key is secret-key-of-the-suite")
            assert False, "secret-key-of-the-suite is the key"
    """)
    suite.run(failed=1, code=1)
    for path in (suite.root / ".kaizen").iterdir():
        assert b"secret-key-of-the-suite" not in path.read_bytes(), path
    assert suite.trace.error is not None
    assert "secret-key" not in suite.trace.error


def test_failing_tests_keep_their_exit_status_with_the_report(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        def test_fails(ask, kaizen):
            kaizen.check("polite", True)
            assert ask() == "something else"
    """)
    suite.run(failed=1, code=1)
    case = suite.cases["test_fails"]
    assert (case.outcome, case.complete) == ("failed", True)
    assert suite.sample.passed is False
    assert suite.sample.error is not None
    assert suite.sample.error.startswith("AssertionError: ")
    assert suite.table["greet"]["pass"] == "0%"
    assert suite.table["greet"]["score"] == "1.00 [0.21, 1.00]"
    assert suite.stored_run.exit_status == 1
