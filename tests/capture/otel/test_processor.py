"""Spans of other instrumentation join the trace of the test; a call that capture saw is not counted twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context

from pytest_kaizen import KaizenSpanProcessor, instrument
from pytest_kaizen.capture import Capture, Recorder, recording, spans_are
from pytest_kaizen.config import DEFAULT_ENDPOINTS
from pytest_kaizen.models import SpanKind, Usage
from pytest_kaizen.scripted import ScriptedLLM

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "m"}
MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def price(model: str, usage: Usage) -> float | None:
    return 0.5 if model == "m-2" and usage.input_tokens == 7 else None


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(KaizenSpanProcessor())
    yield provider
    provider.shutdown()


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("other")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    capture = Capture(DEFAULT_ENDPOINTS, price=price)
    capture.install()
    with recording(Recorder()) as recorder:
        yield recorder
    capture.uninstall()


def test_a_call_of_other_instrumentation(tracer: Tracer, recorder: Recorder) -> None:
    with tracer.start_as_current_span("chat m", attributes=CHAT) as span:
        span.set_attributes(
            {
                "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
                "gen_ai.input.messages": json.dumps(MESSAGES),
                "gen_ai.output.messages": json.dumps(
                    [
                        {
                            "role": "assistant",
                            "parts": [{"type": "text", "content": "yo"}],
                            "finish_reason": "stop",
                        }
                    ]
                ),
                "gen_ai.response.model": "m-2",
                "gen_ai.response.id": "r1",
                "gen_ai.request.stop_sequences": ["x"],
                "gen_ai.usage.input_tokens": 7,
                "gen_ai.usage.completion_tokens": 2,
                "gen_ai.usage.cache_write.input_tokens": 1,
            }
        )
    (made,) = recorder.close()
    assert (made.name, made.kind, made.provider, made.model) == ("chat m", "LLM", "aws.bedrock", "m-2")
    assert [(m.role, m.text) for m in made.input] == [("system", "Be short."), ("user", "hi")]
    assert (made.text, made.output[0].finish_reason) == ("yo", "stop")
    assert made.usage.model_dump() == {
        "input_tokens": 7,
        "output_tokens": 2,
        "cache_read_tokens": None,
        "cache_write_tokens": 1,
    }
    assert (made.cost_usd, made.error) == (0.5, None)
    assert made.metadata == {
        "api": "opentelemetry",
        "response_id": "r1",
        "request": {"stop_sequences": ["x"]},
    }
    assert made.latency_ms is not None
    assert made.latency_ms >= 0


@pytest.mark.parametrize("propagation", [True, False])
def test_the_anthropic_sdk_emits_spans_itself(
    provider: TracerProvider, recorder: Recorder, propagation: bool
) -> None:
    ended: list[str] = []

    class Names(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span.name)

    provider.add_span_processor(Names())
    options: Any = {"tracer_provider": provider, "propagation": propagation}

    async def main(url: str) -> None:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url, open_telemetry=options) as client:
            await client.messages.create(**ASKED)

    with ScriptedLLM() as llm:
        llm.reply("Hello!")
        with anthropic.Anthropic(api_key="k", base_url=llm.url, open_telemetry=options) as client:
            client.messages.create(**ASKED)
            list(client.messages.create(**ASKED, stream=True))
        asyncio.run(main(llm.url))
    assert ended == ["anthropic.messages.create"] * 3
    spans = recorder.close()
    assert [(span.name, span.text) for span in spans] == [("chat m", "Hello!")] * 3


def test_nested_spans(tracer: Tracer, recorder: Recorder) -> None:
    with (
        recorder.span("step"),
        tracer.start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}),
        tracer.start_as_current_span("http"),
    ):
        with (
            tracer.start_as_current_span("framework", attributes=CHAT),
            tracer.start_as_current_span("sdk", attributes=CHAT),
        ):
            pass
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": "42"}
        with tracer.start_as_current_span("tool", attributes=tool):
            pass
    step, agent, sdk, called = recorder.close()
    assert [(span.name, span.kind) for span in (step, agent, sdk, called)] == [
        ("step", "TOOL"),
        ("agent", "AGENT"),
        ("sdk", "LLM"),
        ("tool", "TOOL"),
    ]
    assert [span.parent_id for span in (agent, sdk, called)] == [step.id, agent.id, agent.id]
    assert called.output[0].text == "42"


def test_nested_spans_that_are_never_current(tracer: Tracer, recorder: Recorder) -> None:
    outer = tracer.start_span("framework", attributes=CHAT)
    tracer.start_span("sdk", context=set_span_in_context(outer), attributes=CHAT).end()
    outer.end()
    assert [span.name for span in recorder.close()] == ["sdk"]


def test_a_span_within_an_instrumented_function(tracer: Tracer, recorder: Recorder) -> None:
    @instrument
    def ask(prompt: str) -> str:
        with tracer.start_as_current_span("sdk", attributes=CHAT):
            return prompt

    ask("hi")
    assert [span.name for span in recorder.close()] == ["sdk"]


def test_errors_and_judges(tracer: Tracer, recorder: Recorder) -> None:
    with (
        spans_are(SpanKind.JUDGE),
        pytest.raises(ValueError, match="no"),
        tracer.start_as_current_span(
            "sdk", attributes={**CHAT, "gen_ai.input.messages": "{not json", "gen_ai.output.messages": "[3]"}
        ),
    ):
        raise ValueError("no")
    with tracer.start_as_current_span(
        "old", attributes={"gen_ai.system": "x", "gen_ai.request.model": "m"}
    ) as old:
        old.set_attribute("error.type", "429")
        old.set_status(StatusCode.ERROR)
    judge, early = recorder.close()
    assert (judge.kind, judge.error, judge.input, judge.output) == ("JUDGE", "ValueError: no", [], [])
    assert (early.kind, early.error, early.provider) == ("LLM", "429", "x")


def test_a_span_that_never_ends(tracer: Tracer, recorder: Recorder) -> None:
    tracer.start_span("sdk", attributes=CHAT)
    tracer.start_span("http")
    (span,) = recorder.close()
    assert span.metadata["complete"] is False


def test_outside_a_test_nothing_is_kept(tracer: Tracer) -> None:
    with tracer.start_as_current_span("sdk", attributes=CHAT):
        recorder = Recorder()
    assert recorder.close() == []


def test_without_the_extra() -> None:
    script = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
try:
    from pytest_kaizen import KaizenSpanProcessor
except ImportError as exc:
    assert "pip install 'pytest-kaizen[otel]'" in str(exc), exc
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True)
