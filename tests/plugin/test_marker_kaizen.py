"""``@pytest.mark.kaizen(task)``: the test is a case of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


@pytest.mark.parametrize("marker", ['kaizen("greet")', 'kaizen(task="greet")'])
def test_the_case_belongs_to_the_task(suite: Suite, marker: str) -> None:
    suite.write(f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(ask):
            ask()
    """)
    suite.run(passed=1, code=0)
    assert suite.trace.task == "greet"
    assert suite.cases["test_it"].task == "greet"
    assert list(suite.table) == ["greet"]


def test_each_parameter_is_a_case_of_its_own(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.parametrize("name", ["Ada", "Bob", "Cy d/ö"])
        def test_it(ask, name):
            ask(name)
    """)
    suite.run(passed=3, code=0)
    assert sorted(suite.cases) == ["test_it[Ada]", "test_it[Bob]", "test_it[Cy d/\\xf6]"]
    assert suite.table["greet"]["cases"] == "3"


def test_the_nearest_marker_counts(suite: Suite) -> None:
    suite.write("""
        import pytest

        pytestmark = pytest.mark.kaizen("module")

        def test_of_module(ask):
            ask()

        @pytest.mark.kaizen("class")
        class TestAll:
            def test_of_class(self, ask):
                ask()

            @pytest.mark.kaizen("own")
            def test_own(self, ask):
                ask()
    """)
    suite.run(passed=3, code=0)
    assert {name: case.task for name, case in suite.cases.items()} == {
        "test_of_module": "module",
        "test_of_class": "class",
        "test_own": "own",
    }


def test_a_case_that_calls_nothing_is_a_case_all_the_same(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        def test_it():
            pass
    """)
    suite.run(passed=1, code=0)
    assert suite.trace.spans == []
    assert suite.table["greet"]["cases"] == "1"
    assert suite.table["greet"]["calls"] == "0"


TAKES = "it takes (task, samples=None, max_samples=None, concurrency=None, isolate=False)"


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            "kaizen",
            f"missing a required argument: 'task'; {TAKES}",
        ),
        (
            "kaizen()",
            f"missing a required argument: 'task'; {TAKES}",
        ),
        (
            'kaizen("a", "b")',
            f"too many positional arguments; {TAKES}",
        ),
        (
            'kaizen(tsk="a")',
            f"missing a required argument: 'task'; {TAKES}",
        ),
        (
            'kaizen("a", smaples=3)',
            f"got an unexpected keyword argument 'smaples'; {TAKES}",
        ),
        ("kaizen(3)", "task must be a name (found 3)"),
        ('kaizen("")', "task must be a name (found '')"),
        ("kaizen(None)", "task must be a name (found None)"),
    ],
)
def test_wrong_arguments(suite: Suite, marker: str, message: str) -> None:
    path = suite.write(f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(ask):
            ask()

        def test_other(ask):
            ask()
    """)
    suite.run(code=4)
    assert f"{path}:4: test_it: @pytest.mark.kaizen: {message}" in suite.errors
    assert suite.llm.requests == []
    assert not suite.database.exists()
