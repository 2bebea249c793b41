"""What ends a session in the midst of a case's samples, and what is kept then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

COUNTED = """
    import itertools
    import time
    import pytest
    numbers = itertools.count(1)
"""
#: On a busy machine a time limit comes before the samples that are to be ended by it, or while they are
#: set up. So the limit is long, and the test itself lets it come.
TIME_IS_UP = """
    import signal
    import sqlite3
    from contextlib import closing

    def stored():
        with closing(sqlite3.connect(".kaizen/kaizen.db")) as database:
            return database.execute("SELECT count(*) FROM traces").fetchone()[0]

    def time_is_up():
        signal.setitimer(signal.ITIMER_REAL, 0.05)
"""


def errors(suite: Suite, name: str = "test_it") -> list[str | None]:
    return [sample.error for sample in suite.cases[name].samples]


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_a_failed_case_stops_the_session_once_its_samples_are_drawn(suite: Suite, option: str) -> None:
    suite.write(
        COUNTED
        + """
    @pytest.mark.kaizen("greet", samples=3)
    def test_it(ask):
        ask()
        assert next(numbers) != 1

    @pytest.mark.kaizen("greet")
    def test_other(ask):
        ask()
    """
    )
    suite.run(option, failed=1, code=1)
    assert len(errors(suite)) == 3
    assert suite.table["greet"]["cases"] == "1 of 2"
    assert "test_other" not in suite.cases


@pytest.mark.parametrize("concurrency", [1, 2])
def test_ctrl_c_keeps_the_samples_before_it(suite: Suite, concurrency: int) -> None:
    suite.write(
        COUNTED
        + f"""
    @pytest.mark.kaizen("greet", samples=6, concurrency={concurrency})
    def test_it(ask):
        number = next(numbers)
        ask(f"sample {{number}}")
        if number == 3:
            raise KeyboardInterrupt
        if number > 3:
            time.sleep(0.2)
    """
    )
    suite.run(code=2)
    kept = errors(suite)
    assert 2 <= len(kept) <= 5
    assert kept.count(None) >= 2
    assert suite.stored_run.status == "interrupted"
    assert suite.cases["test_it"].complete is False


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_ctrl_c_in_an_async_sample(suite: Suite, plugin: str) -> None:
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function", "pytest.ini")
    suite.write(
        COUNTED
        + f"""
    import anyio

    @pytest.mark.{plugin}
    @pytest.mark.kaizen("greet", samples=6, concurrency=2)
    async def test_it(kaizen):
        number = next(numbers)
        kaizen.score("n", 0.5)
        if number == 4:
            raise KeyboardInterrupt
        await anyio.sleep(0.01)
    """
    )
    suite.run("-k", "not trio", plugins=("kaizen", plugin), code=2)
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples][:2] == [True, True]
    assert case.complete is False
    assert suite.stored_run.status == "interrupted"


def test_ctrl_c_outside_the_samples_of_trio(suite: Suite) -> None:
    suite.write(
        COUNTED
        + """
    import signal
    import threading
    import anyio

    @pytest.mark.anyio
    @pytest.mark.kaizen("greet", samples=6, concurrency=2)
    async def test_it(kaizen):
        if next(numbers) == 4:
            threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
            await anyio.sleep(5)
    """
    )
    suite.run_alone("-k", "trio", code=2)
    assert suite.stored_run.status == "interrupted"


def test_pytest_exit_in_a_sample_ends_the_session(suite: Suite) -> None:
    suite.write(
        COUNTED
        + """
    @pytest.mark.kaizen("greet", samples=3)
    def test_it(ask):
        ask()
        if next(numbers) == 2:
            pytest.exit("enough", returncode=3)
    """
    )
    suite.run(code=3)
    assert errors(suite)[0] is None
    assert suite.cases["test_it"].complete is False


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_timeout_is_for_all_samples_of_an_item(suite: Suite, concurrency: int) -> None:
    suite.write(
        COUNTED
        + TIME_IS_UP
        + f"""
    @pytest.mark.timeout(900)
    @pytest.mark.kaizen("greet", samples=50, concurrency={concurrency})
    def test_it(ask):
        number = next(numbers)
        ask()
        if number == 4:
            while stored() < 3:
                time.sleep(0.01)
            time_is_up()
        if number >= 4:
            time.sleep(600)
    """
    )
    suite.run_alone(failed=1, code=1)
    assert "Timeout (>900.0s) from pytest-timeout" in suite.text
    kept = errors(suite)
    assert len(kept) < 10
    assert kept.count(None) == 3
    assert "from pytest-timeout" in str(kept[-1])


def test_a_timeout_ends_async_samples(suite: Suite) -> None:
    suite.write(
        COUNTED
        + TIME_IS_UP
        + """
    import anyio

    @pytest.mark.anyio
    @pytest.mark.timeout(900)
    @pytest.mark.kaizen("greet", samples=50, concurrency=2)
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_it(kaizen, anyio_backend):
        number = next(numbers)
        if number == 4:
            while stored() < 3:
                await anyio.sleep(0.01)
            time_is_up()
        await anyio.sleep(0.01 if number < 4 else 600)
    """
    )
    suite.run_alone(failed=1, code=1)
    assert "Timeout (>900.0s) from pytest-timeout" in suite.text
    assert [sample.passed for sample in suite.cases["test_it[asyncio]"].samples][:3] == [True] * 3


def test_a_rerun_repeats_all_samples(suite: Suite) -> None:
    suite.write(
        COUNTED
        + """
    @pytest.mark.kaizen("greet", samples=3)
    def test_it(ask):
        number = next(numbers)
        ask(f"sample {number}")
        assert number != 2
    """
    )
    suite.run("--reruns", "2", plugins=("kaizen", "rerunfailures"), passed=1, rerun=1, code=0)
    case = suite.cases["test_it"]
    assert [span.input[-1].text for s in case.samples for span in s.trace.spans] == [
        "sample 4",
        "sample 5",
        "sample 6",
    ]
    assert suite.table["greet"]["samples"] == "3"
    with suite.store as store:
        assert len(store.traces()) == 6


def test_a_hook_that_breaks_fails_the_test_and_keeps_the_trace(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_trace(trace):
            raise RuntimeError("somebody's hook")
    """)
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=2)
        def test_it(ask):
            ask()
    """)
    suite.run(failed=1, code=1)
    assert "RuntimeError: somebody's hook" in suite.text
    assert len(errors(suite)) == 2


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_a_cancellation_of_one_async_sample_is_no_pass(suite: Suite, plugin: str) -> None:
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function", "pytest.ini")
    suite.write(
        COUNTED
        + f"""
    import asyncio

    @pytest.mark.{plugin}
    @pytest.mark.kaizen("greet", samples=4)
    async def test_it(kaizen):
        number = next(numbers)
        await asyncio.sleep(number / 100)
        if number == 2:
            raise asyncio.CancelledError
    """
    )
    suite.run("-k", "not trio", plugins=("kaizen", plugin), code=1)
    assert suite.result.parseoutcomes()["failed"] == 1
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples][:2] == [True, False]


BODIES = {
    "one by one": ("samples=9", "def test_it(kaizen): wait()"),
    "in threads": ("samples=9, concurrency=2", "def test_it(kaizen): wait()"),
    "async": ("samples=9, concurrency=2", "async def test_it(kaizen): await await_()"),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_gate_on_the_pass_rate_allows_for_no_timeout(suite: Suite, body: str) -> None:
    arguments, function = BODIES[body]
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function\nasyncio_mode = auto", "pytest.ini")
    suite.write(
        COUNTED
        + TIME_IS_UP
        + f"""
    import asyncio

    def delay():
        number = next(numbers)
        if number == 4:
            time_is_up()
        return 0.01 if number < 4 else 600

    def wait(): time.sleep(delay())
    async def await_(): await asyncio.sleep(delay())

    @pytest.mark.timeout(900)
    @pytest.mark.kaizen("greet", {arguments})
    @pytest.mark.kaizen_threshold("pass_rate", min=0.1)
    {function}
    """
    )
    suite.run_alone(failed=1, code=1)
    (case,) = suite.cases.values()
    # Six samples were never drawn, so the case decides nothing, also not for its task.
    assert (case.complete, case.gates) == (False, [])


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("def pytest_kaizen_trace(trace): raise RuntimeError('a hook on traces')", "a hook on traces"),
        (
            "@pytest.hookimpl(trylast=True)\ndef pytest_runtest_call(item): raise RuntimeError('a leak')",
            "a leak",
        ),
    ],
)
def test_a_gate_on_the_pass_rate_allows_for_nothing_but_samples(
    suite: Suite, hook: str, message: str
) -> None:
    suite.add_to_conftest(hook)
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=2)
        @pytest.mark.kaizen_threshold("pass_rate", min=0.0)
        def test_it(kaizen):
            pass
    """)
    suite.run(failed=1, code=1)
    assert f"RuntimeError: {message}" in suite.text


def test_an_exception_without_a_message_is_a_failed_sample(suite: Suite) -> None:
    suite.write("""
        import pytest

        class Mute(Exception):
            def __str__(self): raise RuntimeError("no words")

        @pytest.mark.kaizen("greet", samples=2)
        def test_it(kaizen):
            raise Mute
    """)
    suite.run(failed=1, code=1)
    assert errors(suite) == ["Mute", "Mute"]


def test_an_expected_failure_of_one_sample_hides_no_other(suite: Suite) -> None:
    suite.write(
        COUNTED
        + """
    @pytest.mark.kaizen("greet", samples=2)
    def test_it(kaizen):
        if next(numbers) == 1:
            kaizen.score("warmth", 0.0)
            pytest.xfail("known")
        kaizen.score("warmth", 0.9)
        raise RuntimeError("not known")
    """
    )
    suite.run(failed=1, code=1)
    assert "RuntimeError: not known" in suite.text


def test_subtests_count_once_and_fail_their_sample(suite: Suite) -> None:
    suite.write(
        COUNTED
        + """
    @pytest.mark.kaizen("greet", samples=2)
    def test_it(kaizen, subtests):
        number = next(numbers)
        for part in range(3):
            with subtests.test(part=part):
                assert (number, part) != (1, 1)
        kaizen.score("warmth", 1)
    """
    )
    suite.run(code=1)
    case = suite.cases["test_it"]
    assert (case.outcome, case.complete) == ("failed", True)
    assert [sample.passed for sample in case.samples] == [False, True]
    assert str(case.samples[0].error).startswith("AssertionError: assert (1, 1) != (1, 1)")
    assert suite.table["greet"]["pass"] == "50%"


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_calls_sys_exit_is_a_failed_sample(suite: Suite, body: str) -> None:
    arguments, function = BODIES[body]
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function\nasyncio_mode = auto", "pytest.ini")
    suite.write(
        COUNTED
        + f"""
    import sys

    def wait():
        if next(numbers) == 2:
            sys.exit("the program gave up")
    async def await_(): wait()

    @pytest.mark.kaizen("greet", {arguments.replace("9", "3")})
    {function}
    """
    )
    suite.run(plugins=("kaizen", "asyncio"), failed=1, code=1)
    assert errors(suite).count(None) == 2
    assert "SystemExit: the program gave up" in errors(suite)
