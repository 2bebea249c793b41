"""The ``kaizen`` fixture: prompts, checks, scores, content and spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import SpanKind

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def run_body(suite: Suite, body: str, *, passed: int = 0, failed: int = 0) -> None:
    lines = "\n".join(f"            {line.strip()}" for line in body.split(";"))
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet")
        def test_it(kaizen, ask):
{lines}
    """)
    suite.run(code=1 if failed else 0)
    assert suite.result.parseoutcomes() == ({"failed": failed} if failed else {"passed": passed})


def test_prompt_renders_and_is_remembered(suite: Suite) -> None:
    suite.prompts("greet", "Greet {{ name }}.")
    run_body(suite, 'p = kaizen.prompt("greet"); assert p.render(name="Ada") == "Greet Ada."', passed=1)
    assert suite.sample.prompts["greet"][0] == 1
    assert suite.trace.metadata["prompts"]["greet"]["version"] == 1
    with suite.store as store:
        assert [version.text for version in store.prompts("greet")] == ["Greet {{ name }}."]


def test_prompt_that_misses_a_variable_fails_the_test(suite: Suite) -> None:
    suite.prompts("greet", "Greet {{ name }}.")
    run_body(suite, 'kaizen.prompt("greet").render(nam="Ada")', failed=1)
    assert "PromptError" in suite.text


def test_a_check_that_holds_is_a_score_of_one(suite: Suite) -> None:
    run_body(suite, 'kaizen.check("polite", True, "says please")', passed=1)
    (score,) = suite.trace.scores
    assert (score.name, score.value, score.source, score.reason) == ("polite", 1.0, "check", "says please")
    assert suite.sample.metrics["pass_rate"] == 1.0


def test_a_check_that_does_not_hold_fails_the_test(suite: Suite) -> None:
    run_body(suite, 'ask(); kaizen.check("polite", False, "swears"); kaizen.check("short", 1 > 2)', failed=1)
    assert suite.failure == ["check 'polite' failed: swears", "check 'short' failed", "(task greet)"]
    assert suite.sample.passed is False
    assert suite.sample.metrics["pass_rate"] == 0.0
    assert suite.table["greet"]["pass"] == "0%"


@pytest.mark.parametrize("metric", ["pass_rate", "score", "polite"])
@pytest.mark.parametrize("place", ["marker", "task"])
def test_a_gate_says_how_many_checks_may_fail(suite: Suite, metric: str, place: str) -> None:
    marker = f'@pytest.mark.kaizen_threshold("{metric}", min=0)' if place == "marker" else ""
    if place == "task":
        suite.write(f"tasks: {{greet: {{gate: [{{metric: {metric}, min: 0}}]}}}}", "kaizen.yaml")
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet")
        {marker}
        def test_it(kaizen):
            kaizen.check("polite", False)
    """)
    suite.run(passed=1, code=0)
    assert suite.sample.passed is False


def test_a_gate_on_something_else_does_not_cover_a_check(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("calls", max=5)
        def test_it(kaizen, ask):
            ask()
            kaizen.check("polite", False)
    """)
    suite.run(failed=1, code=1)
    assert suite.failure[0] == "check 'polite' failed"


def test_a_number_is_a_score_and_fails_nothing(suite: Suite) -> None:
    run_body(suite, 'kaizen.check("similar", 0.25); kaizen.check("zero", 0.0)', passed=1)
    assert suite.sample.passed is True
    assert suite.sample.metrics["score"] == 0.125


def test_a_failure_without_a_task_names_none(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_threshold("score", min=0.9)
        def test_it(kaizen):
            kaizen.check("polite", False)
    """)
    suite.run(failed=1)
    assert suite.failure == ["score 0.00 [0.00, 0.79] >= 0.90: fail over 1 sample", "check 'polite' failed"]


def test_booleans_of_numpy_are_verdicts(suite: Suite) -> None:
    run_body(
        suite,
        'kaizen.check("a", type("bool_", (), {"__float__": lambda s: 0.0, "__bool__": lambda s: False})())',
        failed=1,
    )
    assert suite.failure[0] == "check 'a' failed"


@pytest.mark.parametrize("call", ["kaizen.check", "kaizen.score"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.5", "a score lies in [0, 1] (found 1.5)"),
        ("-0.1", "a score lies in [0, 1] (found -0.1)"),
        ("float('nan')", "a score lies in [0, 1] (found nan)"),
        ("'good'", "expected a number in [0, 1] (found 'good')"),
        ("None", "expected a number in [0, 1] (found None)"),
    ],
)
def test_no_number_in_the_unit_interval_is_an_error_at_the_call(
    suite: Suite, call: str, value: str, message: str
) -> None:
    run_body(suite, f'{call}("polite", {value})', failed=1)
    assert f"ScoreError: 'polite': {message}" in suite.text
    assert suite.trace.scores == []


def test_score_is_kept_with_its_source(suite: Suite) -> None:
    run_body(suite, 'kaizen.score("warmth", 0.25, "lukewarm"); kaizen.score("size", 1)', passed=1)
    assert [(s.name, s.value, s.source, s.reason) for s in suite.trace.scores] == [
        ("warmth", 0.25, "sdk", "lukewarm"),
        ("size", 1.0, "sdk", None),
    ]


def test_one_name_twice_counts_by_its_mean(suite: Suite) -> None:
    run_body(suite, 'kaizen.score("warmth", 0.5); kaizen.score("warmth", 1)', passed=1)
    assert suite.sample.metrics["warmth"] == 0.75


def test_trace_shows_what_was_called_so_far(suite: Suite) -> None:
    suite.write("""
        def test_it(kaizen, ask):
            assert kaizen.trace.spans == []
            ask("one")
            assert [span.input[-1].text for span in kaizen.trace.spans] == ["one"]
            ask("two")
            assert kaizen.trace.llm_spans[1].text == kaizen.trace.output == "an answer"
            assert kaizen.trace.input == "two"
            assert [trace.id for trace in kaizen.traces] == [kaizen.trace.id]
    """)
    suite.run(passed=1, code=0)
    assert len(suite.trace.spans) == 2


def test_case_fills_what_it_is_given_and_leaves_the_rest_to_the_last_call(suite: Suite) -> None:
    run_body(suite, 'ask("asked"); kaizen.case(reference="gold"); kaizen.case(input={"n": 1})', passed=1)
    trace = suite.trace
    assert (trace.input, trace.output, trace.reference) == ({"n": 1}, "an answer", "gold")


def test_case_may_be_given_without_any_call(suite: Suite) -> None:
    run_body(suite, 'kaizen.case(input="in", output=["out"])', passed=1)
    assert (suite.trace.input, suite.trace.output) == ("in", ["out"])


def test_span_is_the_parent_of_the_calls_in_it(suite: Suite) -> None:
    suite.write("""
        def test_it(kaizen, ask):
            with kaizen.span("look up", kind="RETRIEVER") as span:
                span.input = {"key": 1}
                span.output = "found"
                ask("inside")
            ask("outside")
    """)
    suite.run(passed=1, code=0)
    step, inside, outside = suite.trace.spans
    assert (step.name, step.kind, step.output[0].text) == ("look up", SpanKind.RETRIEVER, "found")
    assert (inside.parent_id, outside.parent_id) == (step.id, None)
    assert suite.sample.metrics["calls"] == 2


def test_span_of_an_unknown_kind(suite: Suite) -> None:
    run_body(suite, 'kaizen.span("x", kind="TOOLS")', failed=1)
    assert "'TOOLS' is not a valid SpanKind" in suite.text


def test_an_exception_in_a_span_is_its_error(suite: Suite) -> None:
    suite.write("""
        def test_it(kaizen):
            with kaizen.span("look up"):
                raise KeyError("gone")
    """)
    suite.run(failed=1, code=1)
    assert suite.span.error == "KeyError: 'gone'"


@pytest.mark.parametrize("call", ["check('late', False)", "score('late', 1)", "judge('x', rubric='late')"])
def test_what_comes_after_the_body_is_refused_as_too_late(suite: Suite, call: str) -> None:
    suite.write(f"""
        import pytest

        @pytest.fixture
        def late(kaizen):
            yield
            assert kaizen.trace.scores == []
            kaizen.{call}

        @pytest.mark.kaizen("greet", samples=2)
        def test_it(late):
            pass
    """)
    suite.run(passed=1, errors=1, code=1)
    assert "ScoreError: 'late' came after the end of the test's body, too late to count" in suite.text
