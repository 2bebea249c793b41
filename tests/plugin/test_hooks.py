"""The hooks that a conftest may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    def test_it(ask, kaizen):
        ask()
        kaizen.check("polite", True)
"""


def test_scorers_score_every_case_and_no_other_test(suite: Suite) -> None:
    suite.add_to_conftest("""
        from pytest_kaizen import Score

        def length(trace):
            return Score(name="length", value=len(trace.output) / 10, source="sdk")

        def two(trace):
            yield Score(name="first", value=1, source="sdk")
            yield Score(name="of scores", value=len(trace.scores) / 10, source="sdk")

        def nothing(trace):
            return None

        def pytest_kaizen_scorers():
            return [length, two, nothing]
    """)
    suite.write(f"{TEST}\n    def test_unmarked(ask):\n        ask()")
    suite.run(passed=2, code=0)
    marked, unmarked = (suite.cases[name].samples[0] for name in ("test_it", "test_unmarked"))
    assert marked.metrics["length"] == 0.9
    assert marked.metrics["of scores"] == 0.1
    assert unmarked.trace.scores == []


def test_a_scorer_may_be_gated(suite: Suite) -> None:
    suite.add_to_conftest("""
        from pytest_kaizen import Score

        def pytest_kaizen_scorers():
            return [lambda trace: Score(name="warmth", value=0.25, source="sdk", reason="cold")]
    """)
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("warmth", min=0.5)
        def test_it(ask):
            ask()
    """)
    suite.run(failed=1, code=1)
    assert suite.failure == ["warmth 0.25 [0.01, 0.88] >= 0.50: fail over 1 sample"]


def test_a_scorer_that_breaks_is_an_error_and_no_zero(suite: Suite) -> None:
    suite.add_to_conftest("""
        def warmth(trace):
            raise RuntimeError("no thermometer")

        def pytest_kaizen_scorers():
            return [warmth]
    """)
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("warmth", min=0)
        def test_gated(ask):
            ask()

        @pytest.mark.kaizen("greet")
        def test_not_gated(ask):
            ask()
    """)
    suite.run(failed=1, passed=1, code=1)
    assert suite.failure == [
        "warmth >= 0.00: fail, nothing was scored in 1 sample (warmth: RuntimeError: no thermometer)"
    ]
    (score,) = suite.cases["test_not_gated"].samples[0].trace.scores
    assert (score.value, score.error) == (None, "RuntimeError: no thermometer")


def test_a_scorer_that_returns_something_else_is_an_error_of_its_own(suite: Suite) -> None:
    suite.add_to_conftest("""
        def number(trace):
            return 0.5

        def words(trace):
            return ["good"]

        def pytest_kaizen_scorers():
            return [number, words]
    """)
    suite.write(TEST)
    suite.run(passed=1, code=0)
    errors = {score.name: score.error for score in suite.trace.scores if score.error}
    assert errors == {
        "number": "TypeError: expected a Score, several or None (found 0.5)",
        "words": "TypeError: expected a Score, several or None (found 'good')",
    }


def test_trace_is_told_of_the_scored_trace_before_it_is_stored(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_trace(trace):
            trace.metadata["team"] = "support"
            trace.metadata["seen"] = [score.name for score in trace.scores] + [trace.output]
    """)
    suite.write(TEST)
    suite.run(passed=1, code=0)
    assert suite.trace.metadata == {"team": "support", "seen": ["polite", "an answer"]}


def test_trace_gets_no_secrets(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_trace(trace):
            assert "secret-key" not in trace.model_dump_json()
            trace.metadata["looked"] = True
    """)
    suite.write("def test_it(ask):\n    ask('the key is secret-key-of-the-suite')")
    suite.run(passed=1, code=0)
    assert suite.trace.metadata["looked"] is True


def test_gate_is_told_of_case_and_task_gates_once_each(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_gate(result):
            with open("gates.txt", "a") as file:
                print(result.scope, result.case_id, result.sentence, file=file)
    """)
    suite.write("tasks: {greet: {gate: [{metric: pass_rate, min: 0.5}]}}", "kaizen.yaml")
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("calls", max=1)
        def test_it(ask):
            ask()
    """)
    suite.run(passed=1, code=0)
    assert (suite.root / "gates.txt").read_text().splitlines() == [
        "case test_it.py::test_it calls 1 <= 1: pass over 1 sample",
        "task None pass_rate 1.00 [0.21, 1.00] >= 0.50: pass over 1 sample",
    ]


def test_price_comes_before_the_table_and_none_leaves_it_to_it(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_price(model, usage):
            if model == "our-llama":
                return 0.5 * usage.output_tokens
    """)
    suite.write("""
        def test_ours(ask):
            ask(model="our-llama")

        def test_theirs(ask):
            ask(model="claude-haiku-4-5")

        def test_unknown(ask):
            ask(model="their-llama")
    """)
    suite.run(passed=3, code=0)
    costs = {name: case.samples[0].trace.spans[0].cost_usd for name, case in suite.cases.items()}
    assert costs["test_ours"] == 1.5
    assert costs["test_theirs"] is not None
    assert 0 < costs["test_theirs"] < 0.001
    assert costs["test_unknown"] is None


def test_a_price_hook_that_breaks_gives_no_cost_and_breaks_no_test(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_price(model, usage):
            raise RuntimeError("no price list")
    """)
    suite.write("def test_it(ask):\n    assert ask() == 'an answer'")
    suite.run(passed=1, code=0)
    assert suite.span.cost_usd is None


def test_without_kaizen_the_hooks_are_known_and_not_called(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_scorers():
            raise AssertionError("called")
    """)
    suite.write("def test_it():\n    pass")
    suite.run(on=False, passed=1, code=0)
