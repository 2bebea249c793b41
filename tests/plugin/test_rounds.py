"""A gate on a whole task with a confidence: whole rounds over its cases, until it is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import GateResult, Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

GATE = "tasks: {greet: {gate: [{metric: warmth, min: 0.8, confidence: 0.95}]}}"
TEST = """
    import collections
    import pytest
    runs = collections.Counter()

    @pytest.fixture(scope="module")
    def wide():
        print("WIDE UP")
        yield []
        print("WIDE DOWN")

    @pytest.fixture
    def own(wide, tmp_path, capsys):
        yield
        wide.append("own down")

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("number", range(6))
    def test_it(kaizen, own, wide, ask, number):
        ask(f"case {number}, {len(wide)} before")
        runs[number] += 1
        kaizen.score("warmth", {score})
"""


def gate(suite: Suite) -> GateResult:
    (result,) = suite.stored_run.tasks[0].gates
    return result


def write(suite: Suite, score: str = "1.0") -> None:
    suite.write(GATE, "kaizen.yaml")
    suite.write(TEST.replace("{score}", score))


def test_rounds_go_on_until_the_gate_is_decided(suite: Suite) -> None:
    write(suite)
    suite.run("-s", "--kaizen-max-samples", "10", passed=6, code=0)
    assert (
        gate(suite).sentence == "warmth 1.00 [0.77, 1.00] >= 0.80: pass after 20 of 24 samples (error <= 5%)"
    )
    # Twenty draws need four rounds of six.
    assert [len(case.samples) for case in suite.cases.values()] == [4] * 6
    assert [s.trace.sample for s in suite.cases["test_it[3]"].samples] == [0, 1, 2, 3]
    assert all(case.complete and case.outcome == "passed" for case in suite.cases.values())
    assert suite.table["greet"]["samples"] == "24"
    # Function fixtures are new for each sample, wider ones are shared by all further rounds.
    assert suite.text.count("WIDE UP") == suite.text.count("WIDE DOWN") == 2
    sent = suite.cases["test_it[0]"].samples[1].trace.spans[0].input[-1].text
    assert sent == "case 0, 0 before"


def test_further_rounds_leave_the_family_what_its_cases_have_shown(suite: Suite) -> None:
    suite.write(GATE, "kaizen.yaml")
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("warmth", min=0.2, confidence=0.95)
        @pytest.mark.parametrize("number", range(2))
        def test_it(kaizen, number):
            kaizen.score("warmth", 1)
    """)
    suite.run("--kaizen-max-samples", "30", "--kaizen-gate-correction", "holm", passed=2, code=0)
    # Both cases are sure, so that the task has all of the error to itself: 20 draws, not the 26 of a third.
    assert "pass after 20 of 20 samples (error <= 5% over 3 gates)" in gate(suite).sentence


def test_no_round_without_a_number_that_was_given(suite: Suite) -> None:
    write(suite)
    suite.run(passed=6, code=1)
    assert "undecided after 6 of 6 samples" in gate(suite).sentence


def test_rounds_end_at_the_greatest_number(suite: Suite) -> None:
    write(suite, "0.8")
    suite.run("--kaizen-max-samples", "3", passed=6, code=1)
    assert gate(suite).outcome is Outcome.UNDECIDED
    assert [len(case.samples) for case in suite.cases.values()] == [3] * 6


def test_cases_that_drew_more_by_themselves_wait_for_the_others(suite: Suite) -> None:
    write(suite)
    path = suite.root / "test_it.py"
    more = (
        '    @pytest.mark.kaizen("greet", samples=4)\n    def test_more(kaizen): kaizen.score("warmth", 1)\n'
    )
    path.write_text(path.read_text() + "\n" + more.replace("    @", "@").replace("    def", "def"))
    suite.run("--kaizen-max-samples", "10", passed=7, code=0)
    assert {len(case.samples) for name, case in suite.cases.items() if name != "test_more"} == {3}
    assert len(suite.cases["test_more"].samples) == 4


def test_a_sample_that_fails_in_a_further_round_changes_no_outcome(suite: Suite) -> None:
    write(suite, "1.0 if number != 2 or runs[2] == 1 else fail()")
    path = suite.root / "test_it.py"
    path.write_text(path.read_text() + "\n\ndef fail():\n    raise RuntimeError('later')\n")
    suite.run("--kaizen-max-samples", "2", passed=6, code=1)
    (first, second) = suite.cases["test_it[2]"].samples
    assert (first.error, second.error) == (None, "RuntimeError: later")
    assert suite.cases["test_it[2]"].outcome == "passed"
    assert "1 missing" in gate(suite).sentence


def test_nothing_goes_on_after_a_stop_or_on_a_part_of_the_cases(suite: Suite) -> None:
    write(suite)
    suite.run("--kaizen-max-samples", "9", "-k", "1 or 2", passed=2, deselected=4, code=0)
    assert gate(suite).outcome is Outcome.NOT_RUN
    assert {len(case.samples) for case in suite.cases.values()} == {1}
    suite.run("--kaizen-max-samples", "9", "--maxfail=1", passed=6, code=0)
    write(suite, "1.0 if number else fail()")
    suite.run("--kaizen-max-samples", "9", "-x", failed=1, code=1)
    assert {len(case.samples) for case in suite.cases.values()} == {1}


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async_cases_too(suite: Suite, plugin: str) -> None:
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function", "pytest.ini")
    suite.write(GATE, "kaizen.yaml")
    suite.write(f"""
        import pytest

        @pytest.mark.{plugin}
        @pytest.mark.kaizen("greet")
        async def test_it(kaizen):
            kaizen.score("warmth", 1)
    """)
    backend = ["-k", "not trio"] if plugin == "asyncio" else []
    suite.run("--kaizen-max-samples", "30", *backend, plugins=("kaizen", plugin), code=0)
    assert gate(suite).outcome is Outcome.PASS


def test_ctrl_c_in_a_further_round_keeps_what_was_drawn(suite: Suite) -> None:
    write(suite, "1.0 if number == 0 or runs[number] < 3 else interrupt()")
    path = suite.root / "test_it.py"
    path.write_text(path.read_text() + "\n\ndef interrupt():\n    raise KeyboardInterrupt\n")
    path.write_text(path.read_text().replace("range(6)", "range(3)"))
    suite.run("--kaizen-max-samples", "9", code=2)
    assert suite.stored_run.status == "interrupted"
    assert [len(case.samples) for case in suite.cases.values()] == [3, 3, 2]
    assert [sample.passed for sample in suite.cases["test_it[1]"].samples] == [True, True, None]


def test_a_case_that_was_collected_twice_is_drawn_once_a_round(suite: Suite) -> None:
    write(suite)
    suite.run(
        "--kaizen-max-samples", "10", "--keep-duplicates", "test_it.py", "test_it.py", passed=12, code=0
    )
    assert [[s.trace.sample for s in case.samples] for case in suite.cases.values()] == [[0, 1, 2, 3]] * 6


def test_no_round_for_a_gate_that_a_missing_score_keeps_from_passing(suite: Suite) -> None:
    write(suite, "1.0 if number != 2 else 1 / 0")
    suite.run("--kaizen-max-samples", "3", passed=5, failed=1, code=1)
    assert gate(suite).outcome is Outcome.UNDECIDED
    assert {len(case.samples) for case in suite.cases.values()} == {1}
