"""What pytest does by itself stays as it is, with ``--kaizen`` and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

ON = pytest.mark.parametrize("on", [True, False], ids=["on", "off"])


@ON
def test_every_outcome(suite: Suite, on: bool) -> None:
    suite.write("""
        import unittest
        import pytest

        def test_passes(): pass
        def test_fails(): assert 1 == 2
        def test_skips(): pytest.skip("why")
        def test_skips_the_other_way(): raise unittest.SkipTest("why")
        def test_xfails_inside(): pytest.xfail("why")
        @pytest.mark.xfail
        def test_xfails(): assert False
        @pytest.mark.xfail
        def test_xpasses(): pass
        @pytest.mark.xfail(strict=True)
        def test_xpasses_strictly(): pass
        @pytest.mark.skip
        def test_skipped(): raise ValueError
        @pytest.fixture
        def broken(): raise OSError("in setup")
        @pytest.fixture
        def leaking():
            yield
            raise OSError("in teardown")
        def test_setup(broken): pass
        def test_teardown(leaking): pass
        @pytest.mark.parametrize("n", [1, 2])
        def test_parameters(n): assert n
    """)
    suite.run(on=on, code=1, passed=4, failed=2, skipped=3, xfailed=2, xpassed=1, errors=2)
    assert "assert 1 == 2" in suite.text
    assert "kaizen" not in suite.failure[0]


@ON
def test_unittest_classes(suite: Suite, on: bool) -> None:
    suite.write("""
        import unittest

        class TestAll(unittest.TestCase):
            def setUp(self):
                self.ready = True
            def test_passes(self):
                self.assertTrue(self.ready)
            def test_fails(self):
                self.assertEqual(1, 2)
            def test_skips(self):
                self.skipTest("why")
            @unittest.skip("why")
            def test_skipped(self):
                raise ValueError
            @unittest.expectedFailure
            def test_expected(self):
                self.fail()
            def test_sub(self):
                for n in range(2):
                    with self.subTest(n=n):
                        self.assertLess(n, 5)

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_awaits(self):
                self.assertTrue(True)
    """)
    suite.run(on=on, code=1)
    found = suite.result.parseoutcomes()
    assert {k: v for k, v in found.items() if k in ("passed", "failed", "skipped", "xfailed")} == {
        "passed": 3,
        "failed": 1,
        "skipped": 2,
        "xfailed": 1,
    }
    assert "AssertionError: 1 != 2" in suite.text


def test_markers_on_a_unittest_class(suite: Suite) -> None:
    suite.write("""
        import unittest
        import pytest
        from conftest import call

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("calls", max=1)
        class TestAll(unittest.TestCase):
            def setUp(self):
                self.said = call("in setUp") if "two" in self.id() else None
            def test_one(self):
                call("one")
            def test_two(self):
                call("two")
            def test_fails(self):
                call("fails")
                self.assertEqual(1, 2)
            def test_skips(self):
                self.skipTest("why")
    """)
    suite.run(passed=1, failed=2, skipped=1, code=1)
    assert "calls 2 <= 1: fail over 1 sample" in suite.text
    assert suite.cases["test_fails"].samples[0].passed is False
    assert suite.table["greet"]["cases"] == "3 of 4"


@ON
def test_doctests(suite: Suite, on: bool) -> None:
    suite.write(
        '''
        def double(n):
            """Double.

            >>> double(2)
            4
            >>> double(3)
            7
            """
            return 2 * n
    ''',
        "mod.py",
    )
    suite.write(">>> 1 + 1\n2\n", "test_text.txt")
    suite.run("--doctest-modules", on=on, passed=1, failed=1, code=1)


def test_a_doctest_that_calls_a_model_is_recorded(suite: Suite) -> None:
    suite.write(">>> from conftest import call\n>>> call('from a doctest')\n'an answer'\n", "test_text.txt")
    suite.run(passed=1, code=0)
    assert suite.trace.input == "from a doctest"


@ON
def test_warnings_as_errors_and_strict_markers(suite: Suite, on: bool) -> None:
    suite.write("""
        import warnings
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("calls", max=3)
        def test_it(ask, kaizen):
            ask()
            kaizen.check("fine", True)

        def test_warns():
            warnings.warn("beware")
    """)
    suite.run("-Werror", "--strict-markers", "--strict-config", on=on, code=1)
    assert suite.result.parseoutcomes() == {"failed": 1, ("passed" if on else "skipped"): 1}
    assert "UserWarning: beware" in suite.text


def test_without_the_plugin_a_suite_that_does_not_use_it_runs(suite: Suite) -> None:
    suite.write("def test_it(ask):\n    ask()")
    suite.run("-p", "no:kaizen", plugins=(), on=False, passed=1, code=0)
    suite.run("-p", "no:kaizen", plugins=(), code=4)
    assert "unrecognized arguments: --kaizen" in suite.errors


def test_without_the_plugin_its_markers_are_unknown(suite: Suite) -> None:
    suite.write("import pytest\n\n\n@pytest.mark.kaizen('x')\ndef test_it():\n    pass\n")
    suite.run_alone("-p", "no:kaizen", "--strict-markers", on=False, code=2)
    assert "'kaizen' not found in `markers` configuration option" in suite.text


@ON
@pytest.mark.parametrize("how", ["KeyboardInterrupt", 'pytest.exit("enough", returncode=7)'])
def test_interrupts(suite: Suite, on: bool, how: str) -> None:
    suite.write(f"""
        import pytest

        def test_first(ask): ask("first")
        def test_second(ask):
            ask("second")
            raise {how}
        def test_third(ask): ask("third")
    """)
    suite.run(on=on, code=2 if how == "KeyboardInterrupt" else 7)
    assert [request.last_user_text for request in suite.llm.requests] == ["first", "second"]
    if on:
        cases = suite.cases
        assert [cases[name].complete for name in ("test_first", "test_second")] == [True, False]
        assert suite.stored_run.status == "interrupted"


@ON
@pytest.mark.parametrize("flag", ["-q", "-qq", "-v", "-vv", "-s", "--tb=short", "--capture=sys", "-rA"])
def test_ways_of_reporting(suite: Suite, on: bool, flag: str) -> None:
    suite.write("import pytest\n\n\ndef test_it(ask):\n    print('out')\n    ask()\n")
    suite.run(flag, on=on, code=0)
    if on:
        assert suite.last_line == "kaizen: no gate was decided in this session"


@ON
def test_setup_plan_and_setup_only_run_nothing(suite: Suite, on: bool) -> None:
    suite.write("def test_it(ask):\n    ask()")
    suite.run("--setup-plan", on=on, code=0)
    suite.run("--setup-only", on=on, code=0)
    assert suite.llm.requests == []


@ON
def test_the_suites_own_hooks_see_the_same_items(suite: Suite, on: bool) -> None:
    suite.add_to_conftest("""
        def pytest_runtest_call(item):
            assert item.obj.__name__ == item.originalname
            assert item.function.__doc__ == "Said."

        def pytest_collection_modifyitems(items):
            items.reverse()
    """)
    suite.write(
        'def test_a(ask):\n    "Said."\n    ask("a")\n\n\ndef test_b(ask):\n    "Said."\n    ask("b")\n'
    )
    suite.run(on=on, passed=2, code=0)
    assert [request.last_user_text for request in suite.llm.requests] == ["b", "a"]


def test_a_failing_test_shows_no_frame_of_ours(suite: Suite) -> None:
    suite.write("def test_it(ask):\n    ask()\n    assert [1] == [2]\n")
    suite.run("--tb=long", failed=1, code=1)
    assert "pytest_kaizen" not in suite.text


def test_a_collection_error_keeps_its_status(suite: Suite) -> None:
    suite.write("def test_it(ask):\n    ask()\n")
    suite.write("import nowhere_to_be_found\n", "test_broken.py")
    suite.run(code=2)
    assert "1 error" in suite.text
