"""Several samples of a case: how they run, what they share, what becomes of one that fails."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_kaizen.scripted import Request
    from tests.plugin.conftest import Suite

ASYNC_CALL = """
    import os
    import httpx

    async def acall(text):
        async with httpx.AsyncClient(verify=False) as client:
            await client.post(
                os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
                json={"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": text}]},
            )
"""


def texts(suite: Suite) -> list[list[str]]:
    """What each sample of the only case sent, in the order of the samples."""
    (case,) = suite.cases.values()
    assert [sample.trace.sample for sample in case.samples] == list(range(len(case.samples)))
    return [[span.input[-1].text for span in sample.trace.spans] for sample in case.samples]


def test_samples_share_fixtures_and_run_the_body_again(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture
        def counter(ask):
            ask("fixture")
            yield [0]
            print("torn down")

        @pytest.mark.kaizen("greet", samples=3)
        def test_it(kaizen, counter, ask):
            counter[0] += 1
            ask(f"body {counter[0]}")
            kaizen.score("n", counter[0] / 10)
            assert len(kaizen.traces) == counter[0]
            assert kaizen.traces[-1].spans[-1].input[-1].text == f"body {counter[0]}"
    """)
    suite.run("-s", passed=1, code=0)
    assert texts(suite) == [["fixture", "body 1"], ["body 2"], ["body 3"]]
    assert suite.text.count("torn down") == 1
    row = suite.table["greet"]
    assert (row["cases"], row["samples"], row["calls"]) == ("1", "3", "4")
    assert row["score"].startswith("0.20 ")


def test_the_option_says_how_many_where_the_marker_does_not(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        def test_by_option(ask):
            ask("a")

        @pytest.mark.kaizen("greet", samples=1)
        def test_by_marker(ask):
            ask("b")

        def test_no_case(ask):
            ask("c")
    """)
    suite.run("--kaizen-samples", "2", passed=3, code=0)
    found = {name: len(case.samples) for name, case in suite.cases.items()}
    assert found == {"test_by_option": 2, "test_by_marker": 1, "test_no_case": 1}
    suite.write("[pytest]\nkaizen_samples = 3", "pytest.ini")
    suite.run("-k", "option", passed=1, deselected=2, code=0)
    assert texts(suite) == [["a"]] * 3


def test_the_failure_shows_the_worst_sample_and_keeps_all(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=4)
        def test_it(kaizen, ask):
            number = next(numbers)
            ask(f"sample {number}")
            kaizen.score("n", {1: 0.9, 2: 0.4, 3: 0.1, 4: 0.2}[number])
            assert number not in (2, 4), f"sample {number} is wrong"
    """)
    suite.run(failed=1, code=1)
    assert len(texts(suite)) == 4
    assert "AssertionError: sample 4 is wrong" in suite.text
    assert "AssertionError: sample 2 is wrong" not in suite.text
    assert "2 of 4 samples raised an exception; the one shown is of sample 4" in suite.text
    assert ">       assert number not in (2, 4)" in suite.text
    assert "case_run.py" not in suite.text
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples] == [True, False, True, False]
    assert str(case.samples[1].error).startswith("AssertionError: sample 2 is wrong")
    assert suite.table["greet"]["pass"] == "50%"


def test_a_gate_on_the_pass_rate_says_how_many_samples_may_fail(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=4)
        @pytest.mark.kaizen_threshold("pass_rate", min=0.75)
        def test_it(kaizen, ask):
            ask()
            assert next(numbers) != 2
    """)
    suite.run(passed=1, code=0)
    (case,) = suite.cases.values()
    assert case.gates[0].sentence.startswith("pass_rate 0.75 ")


def test_a_check_that_fails_in_some_samples_says_in_how_many(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=3)
        def test_it(kaizen):
            kaizen.check("polite", next(numbers) == 2, "swears")
    """)
    suite.run(failed=1, code=1)
    assert suite.failure == ["check 'polite' failed in 2 of 3 samples: swears", "(task greet)"]


def test_one_skip_skips_the_case_and_draws_no_more(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=5)
        def test_it(ask):
            number = next(numbers)
            ask(f"sample {number}")
            if number == 2:
                pytest.skip("not today")
    """)
    suite.run("-rs", skipped=1, code=0)
    assert "not today" in suite.text
    assert texts(suite) == [["sample 1"], ["sample 2"]]
    (case,) = suite.cases.values()
    assert (case.outcome, case.complete) == ("skipped", False)


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_async_samples_are_tasks_on_their_loop(suite: Suite, plugin: str, concurrency: int) -> None:
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function", "pytest.ini")
    suite.write(
        ASYNC_CALL
        + f"""
    import anyio
    import pytest
    under_way, most, numbers = 0, 0, 0

    @pytest.mark.{plugin}
    @pytest.mark.kaizen("greet", samples=6, concurrency={concurrency})
    async def test_it(kaizen):
        global under_way, most, numbers
        numbers += 1
        under_way += 1
        most = max(most, under_way)
        await acall(f"a{{numbers}}")
        await anyio.sleep(0.01)
        under_way -= 1
        kaizen.check("alone in its trace", len(kaizen.trace.spans) == 1)

    def test_most():
        assert most == {concurrency}
    """
    )
    suite.run("-k", "not trio", plugins=("kaizen", plugin), code=0)
    (case,) = (case for case in suite.cases.values() if case.task == "greet")
    sent = [span.input[-1].text for sample in case.samples for span in sample.trace.spans]
    assert sorted(sent) == [f"a{n}" for n in range(1, 7)]


def test_async_samples_run_together_unless_told_otherwise(suite: Suite) -> None:
    suite.write("""
        import anyio
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "trio"

        together = anyio.Event()
        begun = 0

        @pytest.mark.anyio
        @pytest.mark.kaizen("greet", samples=8)
        async def test_it(kaizen):
            global begun
            begun += 1
            if begun == 8:
                together.set()
            with anyio.fail_after(60):
                await together.wait()
            kaizen.check("fine", True)
    """)
    suite.run(plugins=("kaizen", "anyio"), passed=1, code=0)


def test_the_judge_of_async_samples_does_not_hold_up_the_loop(suite: Suite) -> None:
    suite.write("name: tone\ncriteria:\n  - {name: kind, description: It is kind.}", "rubrics/tone.yaml")
    together = threading.Barrier(8, timeout=60)

    def once_all_are_asked(_: Request) -> str:
        together.wait()
        return json.dumps({"kind": {"reason": "fine", "score": "yes"}})

    suite.llm.reply(once_all_are_asked, when="It is kind")
    suite.write(
        ASYNC_CALL
        + """
    import pytest

    @pytest.mark.anyio
    @pytest.mark.kaizen("greet", samples=8)
    @pytest.mark.kaizen_rubric("rubrics/tone.yaml", min=0.5)
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_it(anyio_backend, kaizen):
        await acall("x")
    """
    )
    suite.run("--kaizen-judge-cache", "off", "--durations=1", "-vv", plugins=("kaizen", "anyio"), code=0)
    (case,) = suite.cases.values()
    assert len(case.samples) == 8
    assert not together.broken


def test_plain_samples_in_threads_keep_their_traces_apart(suite: Suite) -> None:
    suite.write("""
        import threading
        import pytest
        together = threading.Barrier(4, timeout=60)

        @pytest.mark.kaizen("greet", samples=4, concurrency=4)
        def test_it(kaizen, ask):
            number = together.wait()
            ask(f"a{number}")
            kaizen.score("n", number / 10)
            together.wait()
            kaizen.check("alone", [s.input[-1].text for s in kaizen.trace.spans] == [f"a{number}"])
    """)
    suite.run(passed=1, code=0)
    assert sorted(texts(suite)) == [["a0"], ["a1"], ["a2"], ["a3"]]
    for sample in suite.cases["test_it"].samples:
        assert sample.metrics["n"] == int(sample.trace.spans[0].input[-1].text[1:]) / 10


def test_a_failure_in_a_thread_is_the_tests_own(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=4, concurrency=2)
        def test_it(ask):
            assert ask() == "something else"
    """)
    suite.run(failed=1, code=1)
    assert "4 of 4 samples raised an exception" in suite.text
    assert ">       assert ask() == " in suite.text


@pytest.mark.parametrize("fixture", ["monkeypatch", "capsys", "caplog"])
def test_threads_are_refused_where_a_fixture_is_for_one_at_a_time(suite: Suite, fixture: str) -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet", samples=2, concurrency=2)
        def test_it({fixture}):
            pass
    """)
    suite.run(code=4)
    assert "test_it: @pytest.mark.kaizen: concurrency=2: the samples of a plain test" in suite.errors
    assert f"and {fixture}, which it uses, is for one at a time" in suite.errors


def test_concurrency_for_all_holds_where_it_can(suite: Suite) -> None:
    suite.write("""
        import threading
        import pytest

        @pytest.mark.kaizen("greet")
        def test_one_at_a_time(monkeypatch, kaizen):
            kaizen.check("main thread", threading.current_thread() is threading.main_thread())

        @pytest.mark.kaizen("greet")
        def test_in_threads(kaizen, kaizen_llm):
            kaizen.check("a thread", threading.current_thread() is not threading.main_thread())
    """)
    suite.run("--kaizen-samples=2", "--kaizen-concurrency=2", passed=2, code=0)


def test_wrong_numbers_are_refused(suite: Suite) -> None:
    suite.write("def test_it(kaizen): pass")
    for option, value in (("samples", "0"), ("max-samples", "many"), ("concurrency", "-1")):
        suite.run(f"--kaizen-{option}={value}", code=4)
        expected = f"--kaizen-{option}: expected a whole number, 1 or more (found '{value}')"
        assert expected in suite.errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("samples=0", "samples must be a whole number, 1 or more (found 0)"),
        ("samples=True", "samples must be a whole number, 1 or more (found True)"),
        ("concurrency='2'", "concurrency must be a whole number, 1 or more (found '2')"),
        ("samples=4, max_samples=3", "max_samples=3 is less than samples=4"),
        ("isolate='yes'", "isolate must be True or False (found 'yes')"),
        (
            "samples=2, concurrency=2, isolate=True",
            "concurrency=2: isolated samples run one after another",
        ),
    ],
)
def test_wrong_arguments(suite: Suite, arguments: str, message: str) -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet", {arguments})
        def test_it(ask):
            ask()
    """)
    suite.run(code=4)
    assert f"test_it: @pytest.mark.kaizen: {message}" in suite.errors
    assert suite.llm.requests == []
