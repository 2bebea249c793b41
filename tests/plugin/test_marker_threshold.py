"""``@pytest.mark.kaizen_threshold(metric, min, max, share)``: bars on scores and budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import Outcome, Usage

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def write_test(suite: Suite, arguments: str, body: str = "ask()") -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold({arguments})
        def test_it(kaizen, ask):
            {body}
    """)


@pytest.mark.parametrize(
    ("arguments", "body", "sentence"),
    [
        (
            '"warmth", min=0.5',
            'kaizen.score("warmth", 0.75)',
            "warmth 0.75 [0.12, 0.99] >= 0.50: pass over 1 sample",
        ),
        (
            '"warmth", max=0.8',
            'kaizen.score("warmth", 0.75)',
            "warmth 0.75 [0.12, 0.99] <= 0.80: pass over 1 sample",
        ),
        (
            '"warmth", min=0.75',
            'kaizen.score("warmth", 0.75)',
            "warmth 0.75 [0.12, 0.99] >= 0.75: pass over 1 sample",
        ),
        (
            '"score", min=0.5',
            'kaizen.score("a", 1); kaizen.score("b", 0)',
            "score 0.50 [0.05, 0.95] >= 0.50: pass over 1 sample",
        ),
        (
            '"polite", min=1',
            'kaizen.check("polite", True)',
            "polite 1.00 [0.21, 1.00] >= 1.00: pass over 1 sample",
        ),
        ('"pass_rate", min=1', "ask()", "pass_rate 1.00 [0.21, 1.00] >= 1.00: pass over 1 sample"),
        ('"calls", max=2', "ask(); ask()", "calls 2 <= 2: pass over 1 sample"),
        ('"calls", min=1', "ask()", "calls 1 >= 1: pass over 1 sample"),
        ('"input_tokens", max=100', "ask(); ask()", "input_tokens 80 <= 100: pass over 1 sample"),
        ('"output_tokens", max=100', "ask()", "output_tokens 20 <= 100: pass over 1 sample"),
        ('"cost_usd", max=0.01', "ask()", "cost_usd 0.00014 <= 0.01: pass over 1 sample"),
    ],
)
def test_within_the_bar(suite: Suite, arguments: str, body: str, sentence: str) -> None:
    suite.llm.reply("an answer", usage=Usage(input_tokens=40, output_tokens=20))
    write_test(suite, arguments, body)
    suite.run(passed=1, code=0)
    assert suite.gate.outcome is Outcome.PASS
    assert suite.gate.sentence == sentence
    assert suite.gate.origin == "test_it.py::test_it @kaizen_threshold"


@pytest.mark.parametrize(
    ("arguments", "body", "failure"),
    [
        (
            '"warmth", min=0.8',
            'kaizen.score("warmth", 0.75)',
            ["warmth 0.75 [0.12, 0.99] >= 0.80: fail over 1 sample"],
        ),
        (
            '"warmth", max=0.7',
            'kaizen.score("warmth", 0.75)',
            ["warmth 0.75 [0.12, 0.99] <= 0.70: fail over 1 sample"],
        ),
        ('"calls", max=1', "ask(); ask()", ["calls 2 <= 1: fail over 1 sample"]),
        ('"input_tokens", max=79', "ask(); ask()", ["input_tokens 80 <= 79: fail over 1 sample"]),
        ('"output_tokens", max=19', "ask()", ["output_tokens 20 <= 19: fail over 1 sample"]),
        ('"cost_usd", max=0.0001', "ask()", ["cost_usd 0.00014 <= 0.0001: fail over 1 sample"]),
        (
            '"polite", min=1',
            'kaizen.check("polite", False, "it swears")',
            ["polite 0.00 [0.00, 0.79] >= 1.00: fail over 1 sample", "check 'polite' failed: it swears"],
        ),
    ],
)
def test_beyond_the_bar(suite: Suite, arguments: str, body: str, failure: list[str]) -> None:
    suite.llm.reply("an answer", usage=Usage(input_tokens=40, output_tokens=20))
    write_test(suite, arguments, body)
    suite.run(failed=1, code=1)
    assert suite.failure == [*failure, "(task greet)"]


def test_latency_is_measured(suite: Suite) -> None:
    suite.llm.reply("an answer", latency_s=0.05)
    write_test(suite, '"latency_ms", max=20')
    suite.run(failed=1, code=1)
    assert suite.gate.figure is not None
    assert 50 <= suite.gate.figure < 50_000
    assert suite.failure[0].endswith("<= 20: fail over 1 sample")


def test_several_bars_are_all_named(suite: Suite) -> None:
    suite.write("""
        import pytest

        pytestmark = pytest.mark.kaizen_threshold("calls", max=0)

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("warmth", min=0.9)
        @pytest.mark.kaizen_threshold("brevity", min=0.1)
        def test_it(kaizen, ask):
            ask()
            kaizen.score("warmth", 0.5)
            kaizen.score("brevity", 0.5)
    """)
    suite.run(failed=1, code=1)
    assert sorted(suite.failure) == [
        "(task greet)",
        "calls 1 <= 0: fail over 1 sample",
        "warmth 0.50 [0.05, 0.95] >= 0.90: fail over 1 sample",
    ]


@pytest.mark.parametrize(
    ("arguments", "body", "failure"),
    [
        (
            '"warmth", min=0.1',
            "ask()",
            "warmth >= 0.10: fail, nothing was scored in 1 sample (no score named 'warmth' was given)",
        ),
        (
            '"warmth", min=0.1',
            'kaizen.score("wramth", 1)',
            "warmth >= 0.10: fail, nothing was scored in 1 sample "
            "(no score named 'warmth' was given (there were wramth))",
        ),
        (
            '"score", min=0',
            "ask()",
            "score >= 0.00: fail, nothing was scored in 1 sample (nothing was scored)",
        ),
        (
            '"calls", max=9',
            "pass",
            "calls <= 9: fail, no value was had in 1 sample (no LLM call was captured)",
        ),
        (
            '"latency_ms", max=9',
            "pass",
            "latency_ms <= 9: fail, no value was had in 1 sample (no LLM call was captured)",
        ),
    ],
)
def test_never_green_when_there_was_nothing_to_measure(
    suite: Suite, arguments: str, body: str, failure: str
) -> None:
    write_test(suite, arguments, body)
    suite.run(failed=1, code=1)
    assert suite.failure[0] == failure


def test_an_unknown_price_is_no_price_of_zero(suite: Suite) -> None:
    write_test(suite, '"cost_usd", max=100', 'ask(model="home-grown-7b")')
    suite.run(failed=1, code=1)
    assert suite.failure == [
        "cost_usd <= 100: fail, no value was had in 1 sample "
        "(the price of 'home-grown-7b' or the call's usage is not known)",
        "(task greet)",
    ]
    assert suite.table["greet"]["cost"] == "?"
    assert "greet: the cost of 1 call is not known (no price or no usage); not counted as 0" in suite.text


def test_a_test_that_raises_is_still_scored_and_its_gates_decided(suite: Suite) -> None:
    write_test(suite, '"warmth", min=0.9', 'kaizen.score("warmth", 0.5); assert ask() == "x"')
    suite.run(failed=1, code=1)
    assert suite.gate.outcome is Outcome.FAIL
    assert "assert 'an answer' == 'x'" in suite.text
    suite.result.stdout.fnmatch_lines(
        ["*kaizen call*", "warmth 0.50 [[]0.05, 0.95[]] >= 0.90: fail over 1 sample"]
    )


def test_a_gate_on_pass_rate_says_how_many_may_raise(suite: Suite) -> None:
    write_test(suite, '"pass_rate", min=0', "raise ValueError")
    suite.run(passed=1, code=0)
    assert suite.sample.passed is False
    assert suite.sample.error == "ValueError"
    write_test(suite, '"pass_rate", min=0.5', "raise ValueError")
    suite.run(failed=1, code=1)


SIGNATURE = "it takes (metric, min=None, max=None, share=None, max_drop=None, confidence=None)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", f"missing a required argument: 'metric'; {SIGNATURE}"),
        ('"score", minimum=1', f"got an unexpected keyword argument 'minimum'; {SIGNATURE}"),
        ('"score"', "give exactly one of min, max and max_drop (found none)"),
        ('"score", min=0.1, max=0.9', "give exactly one of min, max and max_drop (found min and max)"),
        ('"score", min=1.5', "min of 'score' must lie in [0, 1] (found 1.5)"),
        ('"warmth", max=-1', "max of 'warmth' must lie in [0, 1] (found -1)"),
        ('"calls", max=-1', "max of 'calls' must not be negative (found -1)"),
        (
            '"score", min="a lot"',
            "min: Input should be a valid number, unable to parse string as a number (found 'a lot')",
        ),
        ('"score", min=float("nan")', "min: Input should be a finite number (found nan)"),
        ('"score", min=1, share=1.5', "share: Input should be less than or equal to 1 (found 1.5)"),
        ('"score", min=1, confidence=1', "confidence: Input should be less than 1 (found 1)"),
        (
            '"latency_ms", max=1, confidence=0.9',
            "'latency_ms' has no upper bound, so confidence needs share: the share of samples within the "
            "bar, for example share=0.95",
        ),
        ('"", min=1', "metric: String should have at least 1 character (found '')"),
        ("3, min=1", "metric: Input should be a valid string (found 3)"),
    ],
)
def test_wrong_arguments(suite: Suite, arguments: str, message: str) -> None:
    write_test(suite, arguments)
    suite.run(code=4)
    assert f"test_it.py:4: test_it: @pytest.mark.kaizen_threshold: {message}" in suite.errors
    assert suite.llm.requests == []
    assert not suite.database.exists()
