"""Spans of the user's own, and how spans hang together."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from contextvars import Context
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pytest_kaizen.capture import Capture, Recorder, current_recorder, recording, spans_are
from pytest_kaizen.config import DEFAULT_ENDPOINTS
from pytest_kaizen.models import Message, Part, SpanKind, Usage

if TYPE_CHECKING:
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def call(wire: Wire) -> None:
    wire.json(wire.message("Hello"))
    httpx.post(f"{wire.url}/v1/messages", json=ASK)


def test_a_span_holds_what_was_set_on_it() -> None:
    recorder = Recorder()
    with recorder.span("search") as handle:
        handle.input = {"query": "Tee", "n": 2}
        handle.output = "found"
        handle.metadata["source"] = "index"
    (span,) = recorder.spans
    assert (span.name, span.kind, span.parent_id, span.error) == ("search", SpanKind.TOOL, None, None)
    assert [(m.role, m.text) for m in span.input] == [("user", '{"query": "Tee", "n": 2}')]
    assert [(m.role, m.text) for m in span.output] == [("tool", "found")]
    assert span.metadata == {"source": "index"}
    assert span.latency_ms is not None
    assert span.latency_ms > 0


def test_odd_values_on_a_span_raise_nothing() -> None:
    recorder = Recorder()
    circle: list[Any] = []
    circle.append(circle)
    with recorder.span("odd", SpanKind.CHAIN) as handle:
        handle.input = circle
        handle.output = [Message(role="assistant", parts=[Part(type="text", content="kept")])]
        handle.metadata[7] = object  # type: ignore[index]
    (span,) = recorder.spans
    assert span.input[0].text == "[[...]]"
    assert span.output[0].text == "kept"
    assert span.metadata == {"7": object}


def test_nesting(wire: Wire, recorder: Recorder) -> None:
    call(wire)
    with recorder.span("outer", SpanKind.CHAIN):
        call(wire)
        with recorder.span("inner"):
            thread = threading.Thread(target=call, args=(wire,))
            thread.start()
            thread.join()
        call(wire)
    alone, outer, first, inner, nested, second = recorder.spans
    assert [span.name for span in (outer, inner)] == ["outer", "inner"]
    assert (alone.parent_id, outer.parent_id) == (None, None)
    assert first.parent_id == second.parent_id == inner.parent_id == outer.id
    assert nested.parent_id == inner.id


def test_a_span_around_await(wire: Wire, recorder: Recorder) -> None:
    async def branch(name: str) -> None:
        with recorder.span(name):
            async with httpx.AsyncClient() as client:
                await client.post(f"{wire.url}/v1/messages", json=ASK)

    async def main() -> None:
        await asyncio.gather(branch("a"), branch("b"))

    wire.json(wire.message("Hello"))
    wire.json(wire.message("Hello"))
    asyncio.run(main())
    names = {span.id: span.name for span in recorder.spans}
    parents = [names[span.parent_id] for span in recorder.spans if span.parent_id]
    assert sorted(parents) == ["a", "b"]


def test_an_exception_is_recorded_and_goes_on() -> None:
    recorder = Recorder()
    error = ValueError("not\n  found")
    with pytest.raises(ValueError, match="found") as caught, recorder.span("search"):
        raise error
    assert caught.value is error
    assert recorder.spans[0].error == "ValueError: not found"


def test_an_exception_that_cannot_be_shown() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    recorder = Recorder()
    with pytest.raises(MuteError), recorder.span("x"):
        raise MuteError
    assert recorder.spans[0].error == "MuteError"


def test_a_call_is_read_once_when_the_spans_are_asked_for(wire: Wire) -> None:
    seen: list[str] = []

    def price(model: str, usage: Usage) -> float:  # noqa: ARG001
        # A hook's price may come from a call of its own.
        if not seen:
            seen.append(model)
            call(wire)
        return 1.0

    capture = Capture(DEFAULT_ENDPOINTS, price=price)
    capture.install()
    with recording(Recorder()) as recorder:
        call(wire)
        assert seen == []
        first, *_ = recorder.spans
        assert seen == ["claude-test"]
        again, second = recorder.spans
    capture.uninstall()
    assert again is first
    assert (first.cost_usd, second.cost_usd) == (1.0, 1.0)


def test_kinds(wire: Wire, recorder: Recorder) -> None:
    call(wire)
    with spans_are(SpanKind.JUDGE):
        call(wire)
        with recorder.span("look up"):
            pass
    call(wire)
    assert [span.kind for span in recorder.spans] == [
        SpanKind.LLM,
        SpanKind.JUDGE,
        SpanKind.TOOL,
        SpanKind.LLM,
    ]


def test_recording_nests_and_ends() -> None:
    outer, inner = Recorder(), Recorder()
    assert current_recorder() is None
    with recording(outer) as current:
        assert current is outer is current_recorder()
        with outer.span("step"), recording(inner), inner.span("other"):
            assert current_recorder() is inner
        assert current_recorder() is outer
    assert current_recorder() is None
    assert inner.spans[0].parent_id is None


def test_a_span_makes_its_recorder_current() -> None:
    recorder = Recorder()
    with recorder.span("step"):
        assert current_recorder() is recorder
    assert current_recorder() is None


def test_leaving_in_another_context_raises_nothing() -> None:
    stack = ExitStack()
    recorder = Recorder()
    Context().run(stack.enter_context, recording(recorder))
    stack.close()
    assert current_recorder() is None


def test_close_ends_what_is_open(wire: Wire, recorder: Recorder) -> None:
    wire.raw(wire.answer(200, (b"{}",)))
    wire.gate.clear()
    with recorder.span("running"):
        thread = threading.Thread(target=httpx.post, args=(f"{wire.url}/v1/messages",), kwargs={"json": ASK})
        thread.start()
        while not wire.requests:
            thread.join(0.001)
        step, pending = recorder.close()
        assert (step.name, step.metadata["complete"]) == ("running", False)
        assert pending.error == "no answer had come when the recording ended"
        assert (pending.input[0].text, pending.latency_ms, pending.metadata["complete"]) == (
            "Hi",
            None,
            False,
        )
        wire.gate.set()
        thread.join()
    call(wire)
    again = recorder.close()
    assert again[:2] == [step, pending]
    assert [span.text for span in again[2:]] == ["Hello"]
