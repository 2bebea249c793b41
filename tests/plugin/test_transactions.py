"""When what a test did goes to the disk, and in how many transactions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

COUNTING = """
    from contextlib import contextmanager
    from pytest_kaizen.store.sqlite import SQLiteDatabase as Database

    transactions = []

    @pytest.fixture(scope="session", autouse=True)
    def counted():
        original = Database.write

        @contextmanager
        def write(self):
            transactions.append(1)
            with original(self) as connection:
                yield connection

        Database.write = write
        yield
        Database.write = original

    def pytest_runtest_logreport(report):
        print(f"{report.when}: {len(transactions)} transactions")
        transactions.clear()
"""


def counts(suite: Suite) -> list[int]:
    """The transactions up to the end of the setup, the call and the teardown of each test."""
    return [int(n) for n in re.findall(r"(?:setup|call|teardown): (\d+) transactions", suite.text)]


@pytest.mark.parametrize(("samples", "expected"), [(1, 1), (3, 4)])
def test_transactions_of_a_test(suite: Suite, samples: int, expected: int) -> None:
    suite.add_to_conftest(COUNTING)
    suite.write(f"""
        import pytest

        @pytest.mark.kaizen("greet", samples={samples})
        @pytest.mark.kaizen_threshold("calls", max=1)
        def test_it(ask): ask()

        def test_that_calls_nobody(): pass
    """)
    suite.run("-s", passed=2, code=0)
    assert counts(suite) == [0, expected, 0, 0, 0, 0]
    (case,) = suite.cases.values()
    assert (case.complete, len(case.samples), len(case.gates)) == (True, samples, 1)


@pytest.mark.parametrize("plugin", ["asyncio", "kaizen"])
def test_a_test_that_ended_is_on_the_disk_before_its_fixtures_are_torn_down(
    suite: Suite, plugin: str
) -> None:
    suite.write(f"""
        import os
        import pytest

        @pytest.fixture
        def dies():
            yield
            os._exit(9)

        {"@pytest.mark.asyncio" if plugin == "asyncio" else ""}
        @pytest.mark.kaizen("greet")
        {"async " if plugin == "asyncio" else ""}def test_it(ask, dies):
            ask("the last words")
            assert False
    """)
    suite.run_alone(code=9)
    (case,) = suite.cases.values()
    assert (case.outcome, case.complete) == ("failed", True)
    assert [sample.trace.input for sample in case.samples] == ["the last words"]


def test_a_hook_that_ends_the_session_at_a_gate_leaves_the_sample_on_the_disk(suite: Suite) -> None:
    suite.add_to_conftest("""
        def pytest_kaizen_gate(result):
            pytest.exit("one gate is enough", returncode=6)
    """)
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("calls", max=1)
        def test_it(ask): ask("the last words")
    """)
    suite.run(code=6)
    assert [sample.trace.input for sample in suite.cases["test_it"].samples] == ["the last words"]
