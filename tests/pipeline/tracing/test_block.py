"""``trace``: steps of a program, in a test and outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import anthropic
import pytest
import trio

from pytest_kaizen import instrument, trace
from pytest_kaizen.errors import CaptureError, ScoreError

if TYPE_CHECKING:
    from pytest_kaizen.pipeline import LiveSample
    from pytest_kaizen.scripted import ScriptedLLM
    from tests.pipeline.tracing.conftest import Outside


def test_a_block_is_a_span_of_the_test(live: LiveSample) -> None:
    ask = instrument(str.upper)
    with trace("plan", kind="AGENT") as step:
        step.input, step.metadata["round"] = "what?", 1
        with trace() as inner:
            inner.output = ask("hi")
        step.score(0.5, "useful")
    assert step.trace_id == live.trace_id
    plan, unnamed, call = live.recorder.close()
    assert (plan.name, plan.kind, plan.input[0].text) == ("plan", "AGENT", "what?")
    assert plan.metadata == {"round": 1}
    assert (unnamed.name, unnamed.parent_id, unnamed.output[0].text) == ("trace", plan.id, "HI")
    assert call.parent_id == unnamed.id
    assert [(score.name, score.value) for score in live.scores] == [("useful", 0.5)]
    assert live.content.input is None


def test_decorators(live: LiveSample) -> None:
    @trace
    def add(a: int, b: int = 2) -> int:
        return a + b

    @trace("greet", kind="TOOL")
    async def greet(name: str) -> dict[str, str]:
        return {"hello": name}

    class Bot:
        @trace
        def answer(self, text: str) -> str:
            return text

    async def main() -> None:
        assert await greet("you") == {"hello": "you"}
        async with trace("block") as step:
            step.output = "done"

    assert add(1, b=3) == 4
    asyncio.run(main())
    assert Bot().answer("ok") == "ok"
    spans = live.recorder.close()
    assert [(span.name.rpartition(".")[2], span.kind) for span in spans] == [
        ("add", "CHAIN"),
        ("greet", "TOOL"),
        ("block", "CHAIN"),
        ("answer", "CHAIN"),
    ]
    assert [span.input[0].text for span in spans if span.input] == ['{"a": 1, "b": 3}', "you", "ok"]
    assert [span.output[0].text for span in spans] == ["4", '{"hello": "you"}', "done", "ok"]


def test_exceptions_are_recorded_and_go_on(live: LiveSample) -> None:
    @trace
    def broken() -> None:
        raise ValueError("one")

    async def main() -> None:
        async with trace("block"):
            raise KeyError("two")

    with pytest.raises(ValueError, match="one"):
        broken()
    with pytest.raises(KeyError):
        asyncio.run(main())
    assert [span.error for span in live.recorder.close()] == ["ValueError: one", "KeyError: 'two'"]


def test_a_generator_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"words' is a generator function"):

        @trace
        def words() -> Iterator[str]:
            yield "a"


def test_outside_pytest_the_outermost_block_is_a_trace(outside: Outside, llm: ScriptedLLM) -> None:
    with (
        anthropic.Anthropic(api_key="k", base_url=llm.url) as client,
        trace("answer", task="support") as step,
        trace("ask") as inner,
    ):
        client.messages.create(
            model="claude-test", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
        step.score(0.25, "early")
    step.score(0.75, "late")
    with pytest.raises(ScoreError, match="'late': a score is a number"):
        step.score(7, "late")
    kept = outside.trace
    assert (kept.id, kept.task, kept.name) == (step.trace_id, "support", "answer")
    assert inner.trace_id == step.trace_id
    assert [span.name for span in kept.spans] == ["answer", "ask", "chat claude-test"]
    assert [span.parent_id for span in kept.spans] == [None, kept.spans[0].id, kept.spans[1].id]
    assert (kept.input, kept.output) == ("hi", "Hello!")
    assert [(score.name, score.value) for score in kept.scores] == [("early", 0.25), ("late", 0.75)]


def test_outside_pytest_an_error_is_kept(outside: Outside) -> None:
    @trace
    async def broken(text: str) -> None:
        await asyncio.wait_for(asyncio.sleep(9, text), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(broken("x"))
    kept = outside.trace
    assert (kept.input, kept.error) == ("x", "TimeoutError")


def test_a_cancelled_block_is_kept(outside: Outside) -> None:
    async def work() -> None:
        async with trace("slow"):
            await asyncio.sleep(9)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outside.trace.error == "CancelledError"


def test_a_block_that_trio_cancels_is_kept(outside: Outside) -> None:
    async def main() -> None:
        with trio.move_on_after(0.01):
            async with trace("slow"):
                await trio.sleep(9)

    trio.run(main)
    assert str(outside.trace.error).startswith("Cancelled")


def test_within_pytest_but_outside_a_case_nothing_is_kept() -> None:
    with trace("answer") as step:
        step.score(0.5)
    assert step.trace_id is None
