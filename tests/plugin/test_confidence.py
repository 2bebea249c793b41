"""Gates with a confidence: drawing goes on until they are decided, and no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kaizen.models import GateResult, Outcome

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    import itertools
    import pytest
    SCORES = {scores}
    numbers = itertools.count()

    @pytest.mark.kaizen("greet"{arguments})
    @pytest.mark.kaizen_threshold("warmth", {bar})
    def test_it(kaizen):
        kaizen.score("warmth", SCORES[next(numbers) % len(SCORES)])
"""


def write(
    suite: Suite, scores: str, bar: str = "min=0.8, confidence=0.95", arguments: str = ", concurrency=1"
) -> None:
    suite.write(TEST.format(scores=scores, bar=bar, arguments=arguments))


def gate(suite: Suite, name: str = "test_it") -> GateResult:
    (result,) = suite.cases[name].gates
    return result


def test_drawing_stops_at_the_verdict(suite: Suite) -> None:
    write(suite, "[1.0]")
    suite.run(passed=1, code=0)
    (case,) = suite.cases.values()
    assert gate(suite).sentence == (
        "warmth 1.00 [0.77, 1.00] >= 0.80: pass after 20 of 40 samples (error <= 5%)"
    )
    assert len(case.samples) == gate(suite).samples == 20


def test_a_clear_miss_is_soon_seen(suite: Suite) -> None:
    write(suite, "[0.1, 0.3]")
    suite.run(failed=1, code=1)
    (case,) = suite.cases.values()
    assert gate(suite).outcome is Outcome.FAIL
    assert len(case.samples) == gate(suite).samples < 5


def test_undecided_at_the_greatest_number_fails_unless_told_otherwise(suite: Suite) -> None:
    write(suite, "[0.8, 0.82, 0.78]", arguments=", samples=3, max_samples=12")
    suite.run(failed=1, code=1)
    assert gate(suite).sentence.startswith("warmth 0.80 [")
    assert "undecided after 12 of 12 samples (error <= 5%)" in gate(suite).sentence
    suite.write("[pytest]\nkaizen_undecided = pass", "pytest.ini")
    suite.run("-p", "no:cacheprovider", passed=1, code=0)


def test_the_option_gives_a_confidence_to_gates_that_state_none(suite: Suite) -> None:
    suite.write(
        "tasks: {greet: {gate: [{metric: pass_rate, min: 0.5}, {metric: calls, max: 1}]}}", "kaizen.yaml"
    )
    write(suite, "[1.0]", bar="min=0.8")
    suite.run("--kaizen-confidence", "0.9", "--kaizen-max-samples", "30", passed=1, code=1)
    assert "pass after 16 of 30 samples (error <= 10%)" in gate(suite).sentence
    rate, calls = suite.stored_run.tasks[0].gates
    assert "pass after 5 of 16 samples (error <= 10%)" in rate.sentence
    # No bound, so no test: nothing was captured here, and that fails.
    assert calls.sentence.startswith("calls <= 1: fail, no value was had in 16 samples")
    for wrong in ("95", "0.3", "high"):
        suite.run("--kaizen-confidence", wrong, code=4)
        assert "--kaizen-confidence: expected a number above 0.5 and below 1" in suite.errors


def test_without_confidence_nothing_more_is_drawn(suite: Suite) -> None:
    write(suite, "[0.9]", bar="min=0.8", arguments=", samples=2, max_samples=20")
    suite.run(passed=1, code=0)
    assert gate(suite).sentence.endswith("pass over 2 samples")


def test_a_baseline_is_a_bar_that_samples_are_drawn_against(suite: Suite) -> None:
    write(suite, "[0.9]", bar="max_drop=0.2, confidence=0.95")
    suite.run("--kaizen-save-baseline", passed=1, code=0)
    assert len(suite.cases["test_it"].samples) == 1
    suite.run(passed=1, code=0)
    assert gate(suite).sentence.startswith("warmth fell by 0.00 [")
    assert 5 < gate(suite).samples == len(suite.cases["test_it"].samples) < 40
    write(suite, "[0.2]", bar="max_drop=0.2, confidence=0.95")
    suite.run(failed=1, code=1)
    assert gate(suite).outcome is Outcome.FAIL


def test_samples_enter_by_their_numbers_not_as_they_end(suite: Suite) -> None:
    # Low scores are slow: in the order of completion the gate would pass before the first one came.
    suite.write("""
        import itertools
        import anyio
        import pytest
        numbers = itertools.count()

        @pytest.mark.anyio
        @pytest.mark.kaizen("greet", concurrency=8, max_samples=40)
        @pytest.mark.kaizen_threshold("warmth", min=0.8, confidence=0.95)
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_it(kaizen, anyio_backend):
            low = next(numbers) < 3
            await anyio.sleep(0.3 if low else 0.001)
            kaizen.score("warmth", 0.0 if low else 1.0)
    """)
    suite.run(plugins=("kaizen", "anyio"))
    result = gate(suite, "test_it[asyncio]")
    assert (result.outcome, result.samples) == (Outcome.FAIL, 3)


def test_with_holm_the_errors_hold_over_all_gates_of_the_run(suite: Suite) -> None:
    suite.write("tasks: {greet: {gate: [{metric: warmth, min: 0.6, confidence: 0.95}]}}", "kaizen.yaml")
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", max_samples=60)
        @pytest.mark.kaizen_threshold("warmth", min=0.8, confidence=0.95)
        @pytest.mark.parametrize("name", ["a", "b", "c"])
        def test_it(kaizen, name):
            kaizen.score("warmth", 1)
    """)
    suite.run(passed=3, code=0)
    alone = [case.gates[0].samples for case in suite.cases.values()]
    suite.run("--kaizen-gate-correction", "holm", passed=3, code=0)
    results = [case.gates[0] for case in suite.cases.values()]
    assert alone == [20] * 3
    # Each that is sure leaves more of the error to the next: 0.05 / 4, 0.05 / 3, 0.05 / 2.
    assert [result.samples for result in results] == [28, 26, 24]
    assert all(result.sentence.endswith("(error <= 5% over 4 gates)") for result in results)
    assert suite.stored_run.tasks[0].gates[0].sentence.endswith("(error <= 5% over 4 gates)")
    suite.run("--kaizen-gate-correction", "bonferroni", code=4)
    assert "--kaizen-gate-correction: expected one of holm, none (found 'bonferroni')" in suite.errors


def test_a_rubric_takes_a_confidence_for_all_its_bars(suite: Suite) -> None:
    suite.write("name: tone\ncriteria:\n  - {name: short, check: {max_length: 5}}", "rubrics/tone.yaml")
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_rubric("rubrics/tone.yaml", min=0.8, each={"short": 0.7}, confidence=0.95)
        def test_it(kaizen):
            kaizen.case(output="short")
    """)
    suite.run(passed=1, code=0)
    (case,) = suite.cases.values()
    assert [result.samples for result in case.gates] == [20, 13]
    assert len(case.samples) == 20
    assert case.gates[1].sentence.startswith("tone.short 1.00 [")


def test_a_missing_score_is_never_a_pass(suite: Suite) -> None:
    write(suite, "[1.0]")
    path = suite.root / "test_it.py"
    path.write_text(path.read_text().replace("    kaizen.score", "    if next(numbers) % 7: kaizen.score"))
    suite.run(failed=1, code=1)
    assert gate(suite).outcome is Outcome.UNDECIDED
    assert "missing (no score named 'warmth' was given" in gate(suite).sentence


def test_with_holm_only_gates_that_are_to_run_count(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("warmth", min=0.5, confidence=0.95)
        @pytest.mark.parametrize("number", range(5))
        def test_it(kaizen, number):
            kaizen.score("warmth", 1)
    """)
    suite.run("--kaizen-gate-correction", "holm", "-k", "1 or 2", passed=2, deselected=3, code=0)
    assert all(case.gates[0].sentence.endswith("over 2 gates)") for case in suite.cases.values())
