"""``kaizen_record``: a test's own mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


def test_the_marker_goes_before_the_option(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_record("new")
        def test_new(ask):
            ask("a")

        @pytest.mark.kaizen_record("live")
        def test_live(ask):
            ask("b")

        @pytest.mark.kaizen_record(mode="new")
        class TestClass:
            @pytest.mark.kaizen_record("live")
            def test_nearest(self, ask):
                ask("c")

            def test_of_class(self, ask):
                ask("d")
    """)
    suite.run(passed=4, code=0)
    suite.run("--kaizen-record=replay", passed=4, code=0)
    replayed = {name: case.samples[0].trace.spans[0].replayed for name, case in suite.cases.items()}
    assert replayed == {"test_new": True, "test_live": False, "test_nearest": False, "test_of_class": True}
    files = sorted(path.name for path in (suite.root / "cassettes/test_it").iterdir())
    assert files == ["TestClass.test_of_class.json", "test_new.json"]


def test_the_marker_goes_before_the_own_server(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.kaizen_record("new")
        def test_it(kaizen_llm, ask):
            kaizen_llm.reply("scripted")
            ask()
    """)
    for replayed in (False, True):
        suite.run(passed=1, code=0)
        assert suite.span.replayed is replayed


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("kaizen_record", "missing a required argument: 'mode'; it takes (mode)"),
        ('kaizen_record("once")', "mode: expected one of live, replay, new, all (found 'once')"),
        ("kaizen_record(True)", "mode: expected one of live, replay, new, all (found True)"),
        ('kaizen_record("new", "all")', "too many positional arguments; it takes (mode)"),
    ],
)
def test_wrong_arguments(suite: Suite, marker: str, message: str) -> None:
    path = suite.write(f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(ask):
            ask()
    """)
    suite.run(code=4)
    assert f"{path}:4: test_it: @pytest.mark.kaizen_record: {message}" in suite.errors
    assert suite.llm.requests == []
