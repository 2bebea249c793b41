"""Other plugins do what they do, with ``--kaizen`` and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis  # noqa: F401 - imported once, not by every run
import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

ON = pytest.mark.parametrize("on", [True, False], ids=["on", "off"])


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_async_tests(suite: Suite, plugin: str, mode: str) -> None:
    marker = "" if (plugin, mode) == ("asyncio", "auto") else f"pytestmark = pytest.mark.{plugin}"
    if plugin == "anyio" and mode == "auto":
        suite.write("[pytest]\nanyio_mode = auto", "pytest.ini")
        marker = ""
    if plugin == "asyncio":
        suite.write(
            f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function", "pytest.ini"
        )
    suite.write(f"""
        import asyncio
        import os
        import anyio
        import httpx
        import pytest
        {marker}

        async def acall(text):
            async with httpx.AsyncClient(verify=False) as client:
                await client.post(
                    os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
                    json={{"model": "m", "max_tokens": 5, "messages": [{{"role": "user", "content": text}}]}},
                )

        @pytest.mark.kaizen("greet")
        async def test_one(kaizen):
            await acall("one")
            async with anyio.create_task_group() as group:
                group.start_soon(acall, "in a task")
            kaizen.check("fine", True)

        @pytest.mark.kaizen("greet")
        async def test_two():
            await acall("two")
            pytest.skip("after a call")

        @pytest.mark.kaizen("greet")
        async def test_three(kaizen):
            kaizen.check("bad", False)
    """)
    suite.run(plugins=("kaizen", plugin), code=1)
    per_backend = 2 if plugin == "anyio" else 1
    found = suite.result.parseoutcomes()
    assert {k: found.get(k) for k in ("passed", "failed", "skipped")} == dict.fromkeys(
        ("passed", "failed", "skipped"), per_backend
    )
    spans = {
        name.partition("[")[0]: [span.input[-1].text for span in case.samples[0].trace.spans]
        for name, case in suite.cases.items()
    }
    assert spans == {"test_one": ["one", "in a task"], "test_two": ["two"], "test_three": []}
    assert "check 'bad' failed" in suite.text


@ON
def test_hypothesis(suite: Suite, on: bool) -> None:
    suite.write("""
        from hypothesis import HealthCheck, given, settings, strategies as st

        @settings(max_examples=5, database=None)
        @given(st.integers())
        def test_holds(n):
            assert n == n

        @settings(max_examples=20, database=None)
        @given(st.integers())
        def test_breaks(n):
            assert n < 3

        @settings(max_examples=2, database=None, suppress_health_check=list(HealthCheck), deadline=None)
        @given(n=st.integers())
        def test_calls(n, ask):
            ask(f"n")
    """)
    suite.run(on=on, plugins=("kaizen", "hypothesispytest"), passed=2, failed=1, code=1)
    assert "test_breaks(\n    n=3,\n)" in suite.text.replace("E       ", "").replace("E      ", "")
    if on:
        assert len(suite.trace.spans) == 2


def test_reruns_replace_the_earlier_attempt(suite: Suite) -> None:
    suite.write("""
        import pytest

        tries = []

        @pytest.mark.kaizen("greet")
        @pytest.mark.kaizen_threshold("warmth", min=0.5)
        def test_it(ask, kaizen):
            tries.append(ask(f"try {len(tries)}"))
            kaizen.score("warmth", 0.3 * len(tries))
    """)
    suite.run("--reruns", "3", plugins=("kaizen", "rerunfailures"), passed=1, rerun=1, code=0)
    assert suite.sample.metrics["warmth"] == 0.6
    assert suite.table["greet"]["samples"] == "1"
    with suite.store as store:
        assert [trace.input for trace in store.traces()] == ["try 1", "try 0"]
    assert suite.last_line.startswith("kaizen: 1 gate decided over 1 case: all passed")


@ON
def test_timeouts(suite: Suite, on: bool) -> None:
    suite.write("""
        import signal
        import time
        import pytest

        @pytest.mark.timeout(900)
        def test_slow(ask):
            ask()
            # The plugin's alarm comes now: a short limit could come before the test is under way.
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(600)

        def test_next(ask):
            ask()
    """)
    suite.run_alone(on=on, passed=1, failed=1, code=1)
    assert "Timeout" in suite.text
    if on:
        assert suite.cases["test_slow"].outcome == "failed"
