"""pytest-xdist: workers run the tests, the controller keeps one book, decides and reports once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TASK_GATE = "tasks: {greet: {gate: [{metric: warmth, min: 0.45}]}}"
SIX = """
    import os
    import pytest

    @pytest.mark.kaizen("greet", samples=2)
    @pytest.mark.parametrize("number", range(6))
    def test_it(kaizen, ask, number):
        ask(f"case {number} of {os.environ['PYTEST_XDIST_WORKER']}")
        kaizen.score("warmth", number / 5)
"""


def workers(suite: Suite) -> set[str]:
    """The workers whose calls are in the store."""
    return {
        span.input[-1].text.rpartition(" ")[2]
        for case in suite.cases.values()
        for sample in case.samples
        for span in sample.trace.spans
    }


def test_one_run_one_report_one_verdict(suite: Suite) -> None:
    suite.write(TASK_GATE, "kaizen.yaml")
    suite.write(SIX)
    suite.run_alone("-n", "2", passed=6, code=0)
    assert workers(suite) == {"gw0", "gw1"}
    assert [len(case.samples) for case in suite.cases.values()] == [2] * 6
    with suite.store as store:
        (run,) = store.runs()
    assert (run.status, run.exit_status) == ("completed", 0)
    assert run.tasks[0].gates[0].sentence == "warmth 0.50 [0.19, 0.81] >= 0.45: pass over 12 samples"
    assert (suite.table["greet"]["cases"], suite.table["greet"]["samples"]) == ("6", "12")
    assert suite.text.count("kaizen: 1 gate decided over 6 cases: all passed") == 1
    assert suite.text.count("cases    samples") == 1


def test_a_failed_gate_on_a_task_makes_the_session_fail(suite: Suite) -> None:
    suite.write(TASK_GATE.replace("0.45", "0.55"), "kaizen.yaml")
    suite.write(SIX)
    suite.run_alone("-n", "2", passed=6, code=1)
    assert "FAILED on a whole task: greet: warmth 0.50" in suite.last_line
    assert suite.stored_run.exit_status == 1


def test_a_part_of_the_cases_decides_nothing(suite: Suite) -> None:
    suite.write(TASK_GATE, "kaizen.yaml")
    suite.write(SIX)
    suite.run_alone("-n", "2", "-k", "1 or 2", passed=2, code=0)
    assert suite.stored_run.tasks[0].gates[0].outcome is Outcome.NOT_RUN
    assert "warmth >= 0.45: not decided: 2 of 6 cases ran" in suite.text


def test_gates_on_cases_and_baselines_hold_in_workers(suite: Suite) -> None:
    suite.write(SIX.replace('parametrize("number"', 'kaizen_threshold("warmth", max_drop=0.1)\n'
                            '    @pytest.mark.parametrize("number"'))  # fmt: skip
    suite.run_alone("-n", "2", "--kaizen-save-baseline", passed=6, code=0)
    assert "saved the baseline of greet, 6 cases" in suite.text
    suite.write((suite.root / "test_it.py").read_text().replace("number / 5", "number / 10"))
    suite.run_alone("-n", "2", passed=2, failed=4, code=1)
    assert "warmth fell by 0.50" in suite.text
    assert "greet: fell" in suite.text or "fell most" in suite.text


def test_first_failures_stop_workers_too(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.parametrize("number", range(30))
        def test_it(kaizen, number):
            kaizen.check("fine", False)
    """)
    suite.run_alone("-n", "2", "-x", code=2)
    assert suite.stored_run.status == "interrupted"
    assert "no gate was decided" in suite.last_line


def test_a_worker_that_is_killed_loses_only_the_sample_in_flight(suite: Suite) -> None:
    suite.write("""
        import itertools
        import os
        import signal
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=5)
        def test_it(ask):
            number = next(numbers)
            ask(f"sample {number}")
            if number == 4:
                os.kill(os.getpid(), signal.SIGKILL)

        @pytest.mark.kaizen("greet")
        def test_other(ask):
            ask("other")
    """)
    suite.run_alone("-n", "1", passed=1, failed=1, code=1)
    assert "crashed while running 'test_it.py::test_it'" in suite.text
    case = suite.cases["test_it"]
    assert [span.input[-1].text for sample in case.samples for span in sample.trace.spans] == [
        "sample 1",
        "sample 2",
        "sample 3",
    ]
    assert case.complete is False
    assert suite.cases["test_other"].complete is True
    assert suite.table["greet"]["cases"] == "1 of 2"


def test_reruns_count_once(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet")
        def test_it(ask):
            ask()
            assert next(numbers) == 2
    """)
    suite.run_alone("-n", "1", "--reruns", "2", passed=1, rerun=1, code=0)
    assert suite.table["greet"]["samples"] == "1"


def test_what_a_worker_refuses_is_said_once_by_the_controller(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=0)
        def test_it():
            pass
    """)
    suite.run_alone("-n", "2", code=4)
    assert suite.errors.count("samples must be a whole number, 1 or more (found 0)") == 1
    assert "INTERNALERROR" not in suite.text


def test_a_wrong_configuration_is_refused_before_workers_start(suite: Suite) -> None:
    suite.write("tasks: {greet: {gate: [{metric: warmth}]}}", "kaizen.yaml")
    suite.write(SIX)
    suite.run_alone("-n", "2", code=4)
    assert "give exactly one of min, max and max_drop" in suite.errors
    assert not suite.database.exists()


def test_running_each_case_several_times_is_refused(suite: Suite) -> None:
    suite.write(SIX)
    suite.run_alone("-n", "2", "--dist", "each", code=4)
    assert "--kaizen counts each case once, and --dist=each runs it several times" in suite.errors


def test_no_processes_is_a_plain_run(suite: Suite) -> None:
    suite.write("def test_it(kaizen): kaizen.score('n', 1)")
    suite.run_alone("-n", "0", passed=1, code=0)
    assert suite.table["(no task)"]["samples"] == "1"


@pytest.mark.parametrize("options", [["-q"], ["-qq"], ["--no-summary"], ["--collect-only"]])
def test_terse_reports(suite: Suite, options: list[str]) -> None:
    suite.write(TASK_GATE.replace("0.45", "0.55"), "kaizen.yaml")
    suite.write(SIX)
    collecting = options == ["--collect-only"]
    suite.run_alone("-n", "2", *options, code=0 if collecting else 1)
    assert ("FAILED on a whole task: greet" in suite.last_line) is not collecting


def test_what_json_cannot_say_stops_no_worker(suite: Suite) -> None:
    suite.write(r"""
        import pytest

        @pytest.mark.kaizen("greet")
        def test_it(kaizen):
            kaizen.case(input=b"\xff", output="half a pair \ud83d")
            kaizen.score("warmth", 1, reason="\ud83d")
    """)
    suite.run_alone("-n", "1", passed=1, code=0)
    assert suite.table["greet"]["samples"] == "1"
    assert suite.trace.output == "half a pair \ufffd"


def test_what_a_worker_wrote_at_last_is_not_missing(suite: Suite) -> None:
    suite.add_to_conftest("""
        from pytest_kaizen.errors import StoreError
        from pytest_kaizen.store import Store

        add = Store.add_sample
        calls = []

        def failing(self, *args, **options):
            calls.append(args)
            if len(calls) < 3:
                raise StoreError("disk full")
            add(self, *args, **options)

        Store.add_sample = failing
    """)
    suite.write(SIX)
    suite.run_alone("-n", "1", passed=6, code=0)
    assert "NOT STORED" not in suite.text
    assert len(suite.cases) == 6


def test_the_errors_hold_over_the_gates_of_all_workers(suite: Suite) -> None:
    suite.write(TASK_GATE.replace("min: 0.45", "min: 0.45, confidence: 0.95"), "kaizen.yaml")
    gate = 'kaizen_threshold("warmth", min=0.5, confidence=0.95)\n    @pytest.mark.parametrize("number"'
    suite.write(SIX.replace('parametrize("number"', gate).replace("number / 5", "1"))
    suite.run_alone("-n", "2", "--kaizen-gate-correction", "holm", passed=6)
    assert {case.gates[0].sentence[-13:] for case in suite.cases.values()} == {"over 7 gates)"}
    assert suite.stored_run.tasks[0].gates[0].sentence.endswith("over 7 gates)")
