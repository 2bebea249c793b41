"""Which calls belong to which sample: fixtures, threads, tasks, fixtures of a wider scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def asked(suite: Suite) -> dict[str, list[str]]:
    """What each case of the last run asked the model, in order."""
    return {
        name: [span.input[-1].text for sample in case.samples for span in sample.trace.llm_spans]
        for name, case in suite.cases.items()
    }


def test_calls_in_the_setup_of_fixtures_belong_to_the_test(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture
        def told(ask, kaizen):
            kaizen.check("set up", True)
            return ask("in setup")

        def test_one(told, ask):
            ask("in the body")

        def test_two(told):
            pass
    """)
    suite.run(passed=2, code=0)
    assert asked(suite) == {"test_one": ["in setup", "in the body"], "test_two": ["in setup"]}
    assert [score.name for score in suite.cases["test_one"].samples[0].trace.scores] == ["set up"]


def test_a_fixture_of_the_module_calls_for_the_test_that_set_it_up(suite: Suite) -> None:
    suite.write("""
        import pytest
        from conftest import call

        @pytest.fixture(scope="module")
        def told():
            return call("once")

        def test_one(told):
            pass

        def test_two(told):
            pass
    """)
    suite.run(passed=2, code=0)
    assert asked(suite) == {"test_one": ["once"]}


def test_calls_in_teardown_change_no_verdict_and_harm_nothing(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture
        def told(ask):
            yield
            ask("in teardown")

        @pytest.mark.kaizen_threshold("calls", max=1)
        def test_one(told, ask):
            ask("in the body")

        def test_two(ask):
            ask("in two")
    """)
    suite.run(passed=2, code=0)
    assert asked(suite) == {"test_one": ["in the body"], "test_two": ["in two"]}


def test_threads_belong_to_the_test_that_starts_them(suite: Suite) -> None:
    suite.write("""
        import threading
        from concurrent.futures import ThreadPoolExecutor

        def test_thread(ask):
            thread = threading.Thread(target=ask, args=("in a thread",))
            thread.start()
            thread.join()

        def test_pool(ask, kaizen):
            with ThreadPoolExecutor() as pool:
                pool.submit(ask, "in a pool").result()
                pool.submit(kaizen.check, "in a pool", True).result()
    """)
    suite.run(passed=2, code=0)
    assert asked(suite) == {"test_thread": ["in a thread"], "test_pool": ["in a pool"]}
    assert [score.name for score in suite.cases["test_pool"].samples[0].trace.scores] == ["in a pool"]


def test_a_pool_that_outlives_the_test_serves_each_test_as_its_own(suite: Suite) -> None:
    suite.write("""
        import pytest
        from concurrent.futures import ThreadPoolExecutor

        @pytest.fixture(scope="module")
        def pool():
            with ThreadPoolExecutor(1) as pool:
                yield pool

        @pytest.mark.parametrize("text", ["a", "b"])
        def test_it(pool, ask, text):
            pool.submit(ask, text).result()
    """)
    suite.run(passed=2, code=0)
    assert asked(suite) == {"test_it[a]": ["a"], "test_it[b]": ["b"]}


def test_tasks_belong_to_the_test_that_starts_them(suite: Suite) -> None:
    suite.write("""
        import asyncio

        def test_it(ask):
            async def in_task():
                await asyncio.to_thread(ask, "in a task")

            async def main():
                await asyncio.gather(in_task(), in_task())

            asyncio.run(main())
    """)
    suite.run(passed=1, code=0)
    assert asked(suite) == {"test_it": ["in a task", "in a task"]}


def test_calls_while_modules_are_imported_belong_to_nobody(suite: Suite) -> None:
    suite.write("""
        from conftest import call

        call("at import")

        def test_it():
            pass
    """)
    suite.run(passed=1, code=0)
    assert suite.cases == {}


def test_a_test_that_runs_pytest_itself_is_left_alone(suite: Suite) -> None:
    suite.write("""
        pytest_plugins = ["pytester"]

        def test_it(pytester, ask):
            ask("before")
            pytester.makepyfile(test_inner="def test_inner(): pass")
            pytester.runpytest_inprocess("-p", "kaizen").assert_outcomes(passed=1)
            ask("after")
    """)
    suite.run(passed=1, code=0)
    assert asked(suite) == {"test_it": ["before", "after"]}


def test_what_a_call_failed_with_is_kept_and_the_test_sees_the_same_error(suite: Suite) -> None:
    suite.llm.fail(529, message="overloaded", times=1)
    suite.write("""
        import httpx
        import pytest

        def test_it(ask):
            with pytest.raises(httpx.HTTPStatusError, match="529"):
                ask()
    """)
    suite.run(passed=1, code=0)
    assert suite.span.error is not None
    assert "529" in suite.span.error
    assert suite.trace.output is None
