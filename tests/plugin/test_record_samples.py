"""Recorded calls where a case runs several times: samples, isolated ones, further rounds, workers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_kaizen.scripted import Request
    from tests.plugin.conftest import Suite


@pytest.fixture
def counting(suite: Suite) -> Suite:
    """A model that answers every call differently."""
    numbers = itertools.count(1)

    def answer(request: Request) -> str:
        return f"answer {next(numbers)} to {request.last_user_text}"

    suite.llm.reply(answer)
    return suite


def answers(suite: Suite) -> dict[str, list[str]]:
    return {
        name: [span.text for sample in case.samples for span in sample.trace.spans]
        for name, case in suite.cases.items()
    }


@pytest.mark.parametrize("arguments", ["samples=3", "samples=3, concurrency=3", "samples=3, isolate=True"])
def test_equal_requests_of_samples_keep_their_answers(counting: Suite, arguments: str) -> None:
    counting.write(f"""
        import pytest

        @pytest.mark.kaizen("greet", {arguments})
        def test_it(ask):
            ask("hello")
    """)
    counting.run("--kaizen-record", "new", passed=1, code=0)
    recorded = answers(counting)
    assert len(set(recorded["test_it"])) == 3
    counting.run("--kaizen-record", "replay", passed=1, code=0)
    assert answers(counting) == recorded
    assert len(counting.llm.requests) == 3


def test_further_rounds_are_recorded_and_replayed(counting: Suite) -> None:
    counting.write("tasks: {greet: {gate: [{metric: warmth, min: 0.8, confidence: 0.95}]}}", "kaizen.yaml")
    counting.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.parametrize("number", range(8))
        def test_it(kaizen, ask, number):
            ask("hello")
            kaizen.score("warmth", 1)
    """)
    for mode in ("new", "all"):
        before = len(counting.llm.requests)
        counting.run("--kaizen-max-samples", "9", "--kaizen-record", mode, passed=8, code=0)
        assert len(counting.llm.requests) - before == 24
    recorded = answers(counting)
    counting.run("--kaizen-max-samples", "9", "--kaizen-record", "replay", passed=8, code=0)
    assert answers(counting) == recorded
    assert len(counting.llm.requests) == 48


def test_workers_record_and_replay(counting: Suite) -> None:
    counting.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=2)
        @pytest.mark.parametrize("number", range(6))
        def test_it(ask, number):
            ask(f"case {number}")
    """)
    counting.run_alone("-n", "2", "--kaizen-record", "new", passed=6, code=0)
    recorded = answers(counting)
    counting.run_alone("-n", "3", "--kaizen-record", "replay", passed=6, code=0)
    assert answers(counting) == recorded
    assert len(counting.llm.requests) == 12


def test_a_missing_record_of_one_sample_fails_the_test(counting: Suite) -> None:
    counting.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=2, concurrency=2)
        def test_it(ask):
            ask("hello")
    """)
    counting.run("--kaizen-record", "new", passed=1, code=0)
    text = (counting.root / "test_it.py").read_text().replace("samples=2", "samples=3")
    counting.write(text)
    counting.run("--kaizen-record", "replay", failed=1, code=1)
    assert "--kaizen-record=new" in counting.text
    assert len(counting.llm.requests) == 2
    assert [sample.passed for sample in counting.cases["test_it"].samples] == [True, True, False]
