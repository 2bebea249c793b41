"""Attributes as OpenInference's instrumentation sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_kaizen.capture.otel import received
from pytest_kaizen.models import Message, Part, SpanKind, Usage

CALL: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.provider": "azure",
    "llm.model_name": "gpt-5-mini",
    "llm.invocation_parameters": json.dumps({"temperature": 0}),
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "What is this?",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "https://x/y.png",
    "llm.input_messages.10.message.role": "tool",
    "llm.input_messages.10.message.tool_call_id": "c0",
    "llm.input_messages.10.message.content": "42",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c0",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "look",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"at": 1}',
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "A lamp.",
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 3,
    "llm.token_count.prompt_details.cache_read": 4,
    "input.value": "the raw request",
    "session.id": "s1",
}


def parts(message: Message) -> list[dict[str, Any]]:
    return [part.model_dump(exclude_none=True) for part in message.parts]


def test_a_model_call() -> None:
    assert received.is_openinference(CALL)
    assert received.openinference_kind(CALL) is SpanKind.LLM
    fields = received.openinference_fields(CALL)
    assert (fields["provider"], fields["model"]) == ("azure", "gpt-5-mini")
    assert fields["usage"] == Usage(input_tokens=12, output_tokens=3, cache_read_tokens=4)
    assert fields["metadata"] == {"api": "openinference", "request": {"temperature": 0}, "session": "s1"}
    assert [message.role for message in fields["input"]] == ["system", "user", "assistant", "tool"]
    assert parts(fields["input"][1]) == [
        {"type": "text", "content": "What is this?"},
        {"type": "uri", "uri": "https://x/y.png"},
    ]
    assert parts(fields["input"][2]) == [
        {"type": "tool_call", "id": "c0", "name": "look", "arguments": {"at": 1}}
    ]
    assert parts(fields["input"][3]) == [{"type": "tool_call_response", "id": "c0", "response": "42"}]
    assert fields["output"] == [Message(role="assistant", parts=[Part(type="text", content="A lamp.")])]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("TOOL", SpanKind.TOOL),
        ("agent", SpanKind.AGENT),
        ("RERANKER", SpanKind.RETRIEVER),
        ("EVALUATOR", SpanKind.JUDGE),
        ("EMBEDDING", SpanKind.EMBEDDING),
        ("GUARDRAIL", SpanKind.CHAIN),
        (7, SpanKind.CHAIN),
    ],
)
def test_kinds(name: Any, kind: SpanKind) -> None:
    assert received.openinference_kind({"openinference.span.kind": name}) is kind


def test_a_step_with_values_alone() -> None:
    fields = received.openinference_fields(
        {"openinference.span.kind": "TOOL", "input.value": '{"q": 1}', "output.value": "found"}
    )
    assert [(message.role, message.text) for message in fields["input"]] == [("user", '{"q": 1}')]
    assert [(message.role, message.text) for message in fields["output"]] == [("tool", "found")]


def test_what_cannot_be_read_is_left_out() -> None:
    fields = received.openinference_fields(
        {
            "openinference.span.kind": "LLM",
            "llm.invocation_parameters": "{",
            "llm.token_count.prompt": "12",
            "llm.token_count.completion": -1,
            "llm.input_messages.x.message.role": "user",
            "llm.input_messages.0": "no message",
            "llm.output_messages.0.message.contents.0.message_content.image.image.url": "data:image/png;x",
            "llm.output_messages.0.message.contents.0.message_content.type": "image",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{",
        }
    )
    assert fields["usage"] == Usage()
    assert fields["metadata"] == {"api": "openinference"}
    assert fields["input"] == []
    assert parts(fields["output"][0]) == [
        {"type": "image"},
        {"type": "tool_call", "id": None, "name": None, "arguments": "{"},
    ] or parts(fields["output"][0]) == [{"type": "image"}, {"type": "tool_call", "arguments": "{"}]
