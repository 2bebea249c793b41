"""The anthropic SDK, in every way it can be asked."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anthropic
import anyio
import pytest

from pytest_kaizen.models import SpanKind, Usage

if TYPE_CHECKING:
    from pytest_kaizen.capture import Recorder
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {
    "model": "claude-asked",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hi"}],
}


@pytest.fixture
def client(wire: Wire) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=wire.url, api_key="dummy", max_retries=0) as made:
        yield made


@pytest.fixture
def aclient(wire: Wire) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=wire.url, api_key="dummy", max_retries=0)


def test_plain_call(wire: Wire, client: anthropic.Anthropic, recorder: Recorder) -> None:
    wire.json(wire.message("Hello"))
    reply = client.messages.create(**ASK, system="Be brief")
    assert reply.content[0].text == "Hello"
    (span,) = recorder.spans
    assert span.kind is SpanKind.LLM
    assert (span.provider, span.model, span.name) == ("anthropic", "claude-test", "chat claude-test")
    assert span.system == "Be brief"
    assert [(m.role, m.text) for m in span.input] == [("system", "Be brief"), ("user", "Hi")]
    assert [(m.role, m.text, m.finish_reason) for m in span.output] == [("assistant", "Hello", "end_turn")]
    assert span.usage == Usage(input_tokens=10, output_tokens=5)
    assert span.cost_usd == pytest.approx(10 / 1_000_000)
    assert span.error is None
    assert span.metadata == {
        "api": "anthropic.messages",
        "url": f"{wire.url}/v1/messages",
        "status": 200,
        "request": {"max_tokens": 50},
        "response_id": "msg_1",
    }
    (attempt,) = span.attempts
    assert (attempt.status, attempt.error) == (200, None)
    assert attempt.latency_ms is not None
    assert span.latency_ms == attempt.latency_ms > 0


def test_system_blocks_tools_and_cache_usage(
    wire: Wire, client: anthropic.Anthropic, recorder: Recorder
) -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 7,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s" * 300},
        {"type": "redacted_thinking", "data": base64.b64encode(b"hidden").decode()},
        {"type": "text", "text": "Looking"},
        {"type": "tool_use", "id": "t1", "name": "search", "input": {"q": "tea"}},
        {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {"query": "tea"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "t2",
            "content": [{"type": "web_search_result", "url": "u", "encrypted_content": "e" * 400}],
        },
    ]
    wire.json(wire.message("", content=content, stop_reason="tool_use", usage=usage))
    client.messages.create(
        model="m",
        max_tokens=9,
        system=[
            {"type": "text", "text": "One."},
            {"type": "text", "text": "Two.", "cache_control": {"type": "ephemeral"}},
        ],
        tools=[{"name": "search", "input_schema": {"type": "object"}}],
        messages=[
            {"role": "user", "content": "Find tea"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t0", "name": "search", "input": {"q": "x"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t0", "content": "none", "is_error": True}
                ],
            },
        ],
    )
    (span,) = recorder.spans
    assert span.system == "One.Two."
    assert [message.role for message in span.input] == ["system", "user", "assistant", "tool"]
    assert span.input[2].parts[0].model_dump(exclude_none=True) == {
        "type": "tool_call",
        "id": "t0",
        "name": "search",
        "arguments": {"q": "x"},
    }
    assert span.input[3].parts[0].model_dump(exclude_none=True) == {
        "type": "tool_call_response",
        "id": "t0",
        "response": "none",
        "is_error": True,
    }
    parts = [part.model_dump(exclude_none=True) for part in span.output[0].parts]
    assert parts[0] == {"type": "reasoning", "content": "Hm."}
    assert parts[1] == {
        "type": "reasoning",
        "redacted": True,
        "size": 6,
        "sha256": hashlib.sha256(b"hidden").hexdigest(),
    }
    assert parts[3] == {"type": "tool_call", "id": "t1", "name": "search", "arguments": {"q": "tea"}}
    assert parts[4] == {
        "type": "server_tool_use",
        "id": "t2",
        "name": "web_search",
        "input": {"query": "tea"},
    }
    assert parts[5]["type"] == "web_search_tool_result"
    assert parts[5]["value"][0]["encrypted_content"]["size"] == 300
    assert span.output[0].finish_reason == "tool_use"
    assert span.usage == Usage(
        input_tokens=123, output_tokens=7, cache_read_tokens=100, cache_write_tokens=20
    )
    assert span.metadata["reasoning_tokens"] == 4
    assert span.metadata["request"]["tools"][0]["name"] == "search"


def test_images_and_documents_are_kept_by_hash(
    wire: Wire, client: anthropic.Anthropic, recorder: Recorder
) -> None:
    picture = bytes(range(256)) * 40
    data = base64.b64encode(picture).decode()
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    wire.json(wire.message("Nice"))
    client.messages.create(
        model="m",
        max_tokens=9,
        messages=[
            {
                "role": "user",
                "content": [
                    image,
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                    {
                        "type": "document",
                        "title": "T",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": data},
                    },
                    {"type": "tool_result", "tool_use_id": "t", "content": [image]},
                    {"type": "text", "text": "What is it?"},
                ],
            }
        ],
    )
    (span,) = recorder.spans
    digest = hashlib.sha256(picture).hexdigest()
    parts = [part.model_dump(exclude_none=True) for part in span.input[0].parts]
    blob = {"type": "blob", "mime_type": "image/png", "sha256": digest, "size": 10240, "modality": "image"}
    assert parts[0] == blob
    assert parts[1] == {"type": "uri", "uri": "https://x.test/a.png", "modality": "image"}
    assert parts[2] == {**blob, "mime_type": "application/pdf", "modality": "document", "title": "T"}
    assert parts[3]["response"] == [blob]
    assert span.input[0].text == "What is it?"
    assert data[:100] not in span.model_dump_json()


@pytest.mark.parametrize("compressed", [False, True])
def test_streamed_call(wire: Wire, client: anthropic.Anthropic, recorder: Recorder, compressed: bool) -> None:
    chunks = wire.message_events("Grüße ", "aus 東京", " 🙂")
    if compressed:
        packed = gzip.compress(b"".join(chunks))
        wire.sse(*(packed[i : i + 7] for i in range(0, len(packed), 7)), encoding="gzip")
    else:
        wire.sse(*chunks)
    events = list(client.messages.create(**ASK, stream=True))
    assert [event.type for event in events][-1] == "message_stop"
    (span,) = recorder.spans
    assert span.text == "Grüße aus 東京 🙂"
    assert span.usage == Usage(input_tokens=10, output_tokens=5)
    assert span.output[0].finish_reason == "end_turn"
    assert span.metadata["stream"] is True
    assert "complete" not in span.metadata
    assert span.latency_ms is not None
    first = span.metadata["time_to_first_token_ms"]
    assert 0 < first <= span.latency_ms


def test_stream_helper_and_early_break(wire: Wire, client: anthropic.Anthropic, recorder: Recorder) -> None:
    wire.sse(*wire.message_events("One ", "two"))
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == "One two"
    wire.sse(*wire.message_events("One ", "two", " three"), pause_s=0.02)
    with client.messages.stream(**ASK) as stream:
        for piece in stream.text_stream:
            assert piece == "One "
            break
    whole, cut = recorder.spans
    assert (whole.text, whole.metadata.get("complete")) == ("One two", None)
    assert (cut.text, cut.metadata["complete"], cut.error) == ("One ", False, None)
    assert cut.usage == Usage(input_tokens=10, output_tokens=1)


def test_stream_that_is_never_closed_is_finalised_by_close(
    wire: Wire, client: anthropic.Anthropic, recorder: Recorder
) -> None:
    wire.sse(*wire.message_events("One ", "two"), pause_s=0.02)
    stream = client.messages.create(**ASK, stream=True)
    for item in stream:
        if item.type == "content_block_delta":
            break
    assert recorder.spans == []
    (span,) = recorder.close()
    assert (span.text, span.metadata["complete"]) == ("One ", False)
    list(stream)
    stream.close()
    assert recorder.close() == [span]
    assert recorder.spans[0].text == "One "


def test_tool_input_that_is_streamed(wire: Wire, client: anthropic.Anthropic, recorder: Recorder) -> None:
    block = {"type": "tool_use", "id": "t", "name": "add", "input": {}}
    deltas = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in ("", '{"a": "\\ud8', '3d\\ude42"', ', "b": 2}')
        ),
    ]
    events = wire.message_events()
    wire.sse(events[0], *(wire.event(str(delta["type"]), delta) for delta in deltas), *events[3:])
    list(client.messages.create(**ASK, stream=True))
    (span,) = recorder.spans
    assert span.output[0].parts[0].model_dump(exclude_none=True) == {
        "type": "tool_call",
        "id": "t",
        "name": "add",
        "arguments": {"a": "🙂", "b": 2},
    }


def test_raw_and_streaming_response(wire: Wire, client: anthropic.Anthropic, recorder: Recorder) -> None:
    wire.json(wire.message("Raw"))
    raw = client.messages.with_raw_response.create(**ASK)
    assert raw.parse().content[0].text == "Raw"
    wire.json(wire.message("Late"))
    with client.messages.with_streaming_response.create(**ASK) as response:
        assert b"Late" in response.read()
    wire.json(wire.message("Unread"))
    with client.messages.with_streaming_response.create(**ASK):
        pass
    wire.sse(*wire.message_events("Lines"))
    with client.messages.with_streaming_response.create(**ASK, stream=True) as response:
        assert sum(line.startswith("data:") for line in response.iter_lines()) == 7
    first, second, third, fourth = recorder.spans
    assert [first.text, second.text, third.text, fourth.text] == ["Raw", "Late", "", "Lines"]
    assert "stream" not in second.metadata
    assert third.metadata["complete"] is False
    assert third.error is None
    assert fourth.metadata["stream"] is True


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_calls(wire: Wire, aclient: anthropic.AsyncAnthropic, recorder: Recorder, backend: str) -> None:
    async def main() -> None:
        wire.json(wire.message("Plain"))
        await aclient.messages.create(**ASK)
        wire.sse(*wire.message_events("A", "sync"))
        async for _ in await aclient.messages.create(**ASK, stream=True):
            pass
        wire.sse(*wire.message_events("Help", "er"))
        async with aclient.messages.stream(**ASK) as stream:
            assert await stream.get_final_text() == "Helper"
        wire.sse(*wire.message_events("Cut ", "off", " here"), pause_s=0.02)
        async with aclient.messages.stream(**ASK) as stream:
            async for _ in stream.text_stream:
                break
        await aclient.close()

    anyio.run(main, backend=backend)
    assert [span.text for span in recorder.spans] == ["Plain", "Async", "Helper", "Cut "]
    assert [span.metadata.get("complete") for span in recorder.spans] == [None, None, None, False]


def test_count_tokens_and_batches_are_no_calls(
    wire: Wire, client: anthropic.Anthropic, recorder: Recorder
) -> None:
    wire.json({"input_tokens": 3})
    client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "x"}])
    wire.json({"id": "b", "processing_status": "in_progress"})
    client.messages.batches.create(requests=[])
    assert [json.loads(body) for _, _, body in wire.requests][1] == {"requests": []}
    assert recorder.close() == []
