"""``isolate=True``: every sample with fixtures of its own, wider ones alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def test_function_fixtures_are_new_and_wider_ones_stay(suite: Suite) -> None:
    suite.write("""
        import pytest

        seen = []

        @pytest.fixture(scope="module")
        def wide():
            yield seen.append("wide up")
            seen.append("wide down")

        @pytest.fixture
        def own(wide, ask, tmp_path):
            seen.append("own up")
            ask("fixture")
            (tmp_path / "new").mkdir()
            yield
            seen.append("own down")

        class TestIt:
            @pytest.mark.kaizen("greet", samples=3, isolate=True)
            def test_it(self, own, kaizen, ask):
                assert not hasattr(self, "used")
                self.used = True
                seen.append("body")
                ask("body")
                assert [span.input[-1].text for span in kaizen.trace.spans] == ["fixture", "body"]

        def test_order(kaizen):
            assert seen == ["wide up"] + 3 * ["own up", "body", "own down"]
    """)
    suite.run(passed=2, code=0)
    case = suite.cases["test_it"]
    sent = [[span.input[-1].text for span in sample.trace.spans] for sample in case.samples]
    assert sent == [["fixture", "body"]] * 3


def test_a_failed_sample_does_not_end_the_case(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.mark.kaizen("greet", samples=3, isolate=True)
        def test_it(kaizen):
            assert next(numbers) != 1, "the first is wrong"
    """)
    suite.run(failed=1, code=1)
    assert "AssertionError: the first is wrong" in suite.text
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples] == [False, True, True]


def test_a_fixture_that_breaks_ends_the_case_as_a_failure(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.fixture
        def own():
            if next(numbers) == 2:
                raise RuntimeError("no second one")

        @pytest.mark.kaizen("greet", samples=3, isolate=True)
        def test_it(kaizen, own, ask):
            ask()
    """)
    suite.run(failed=1, code=1)
    assert "RuntimeError: no second one" in suite.text
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples] == [True, False]


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async_samples_too(suite: Suite, plugin: str) -> None:
    suite.write("[pytest]\nasyncio_default_fixture_loop_scope = function", "pytest.ini")
    suite.write(f"""
        import pytest

        @pytest.fixture
        def own():
            return []

        @pytest.mark.{plugin}
        @pytest.mark.kaizen("greet", samples=3, isolate=True)
        async def test_it(kaizen, own):
            kaizen.check("new", own == [])
            own.append(1)
    """)
    suite.run("-k", "not trio", plugins=("kaizen", plugin), code=0)
    (case,) = suite.cases.values()
    assert len(case.samples) == 3


def test_unittest_classes_too(suite: Suite) -> None:
    suite.write("""
        import unittest
        import pytest

        class TestIt(unittest.TestCase):
            def setUp(self):
                self.fresh = True

            @pytest.mark.kaizen("greet", samples=3, isolate=True)
            def test_it(self):
                assert self.fresh
                self.fresh = False
    """)
    suite.run(passed=1, code=0)
    (case,) = suite.cases.values()
    assert len(case.samples) == 3


@pytest.mark.parametrize("isolate", [False, True])
def test_async_bodies_of_unittest(suite: Suite, isolate: bool) -> None:
    suite.write(f"""
        import itertools
        import unittest
        import pytest
        numbers = itertools.count(1)

        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.ready = True

            @pytest.mark.kaizen("greet", samples=3, isolate={isolate})
            async def test_it(self):
                assert self.ready
                assert next(numbers) != 2, "the second"
    """)
    suite.run(failed=1, code=1)
    assert "AssertionError: the second" in suite.text
    (case,) = suite.cases.values()
    assert [sample.passed for sample in case.samples] == [True, False, True]
    assert case.complete


def test_a_gate_on_the_pass_rate_allows_for_no_fixture_that_breaks(suite: Suite) -> None:
    suite.write("""
        import itertools
        import pytest
        numbers = itertools.count(1)

        @pytest.fixture
        def own():
            if next(numbers) == 2:
                raise RuntimeError("no second one")

        @pytest.mark.kaizen("greet", samples=3, isolate=True)
        @pytest.mark.kaizen_threshold("pass_rate", min=0.5)
        def test_it(kaizen, own):
            pass
    """)
    suite.run(failed=1, code=1)
    assert "RuntimeError: no second one" in suite.text
    assert suite.cases["test_it"].complete is False


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("where", ["in a decorator", "in set up"])
def test_a_body_that_unittest_skips_is_no_case_that_ran(suite: Suite, isolate: bool, where: str) -> None:
    suite.write("tasks: {greet: {gate: [{metric: pass_rate, min: 1.0}]}}", "kaizen.yaml")
    suite.write(f"""
        import unittest
        import pytest

        @pytest.mark.kaizen("greet", samples=3, isolate={isolate})
        class TestIt(unittest.TestCase):
            def setUp(self):
                if "set up" in {where!r}:
                    self.skipTest("not now")

            @unittest.skipIf("decorator" in {where!r}, "no")
            def test_it(self):
                raise RuntimeError("never")
    """)
    suite.run(skipped=1, code=0)
    assert suite.cases["test_it"].complete is False
    assert suite.table["greet"]["cases"] == "0 of 1"
