"""The openai SDK: Chat Completions and Responses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest

from pytest_kaizen.models import Usage

if TYPE_CHECKING:
    from pytest_kaizen.capture import Recorder
    from tests.capture.conftest import Wire

CHAT: dict[str, Any] = {"model": "gpt-asked", "messages": [{"role": "user", "content": "Hi"}]}


def completion(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-test",
        "choices": [
            {"index": index, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
            for index, message in enumerate(messages)
        ],
        "usage": {
            "prompt_tokens": 30,
            "completion_tokens": 8,
            "total_tokens": 38,
            "prompt_tokens_details": {"cached_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 6},
        },
        **more,
    }


def chunks(wire: Wire, *deltas: dict[str, Any], end: bool = True) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
    made = [
        wire.event(None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in deltas
    ]
    if end:
        stop = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {**head, "choices": [], "usage": completion({})["usage"]}
        made += [wire.event(None, stop), wire.event(None, usage), wire.event(None, "[DONE]")]
    return made


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-test",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 30,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 2},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 6},
            "total_tokens": 38,
        },
        **more,
    }


def spoken(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": content}


@pytest.fixture
def client(wire: Wire) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{wire.url}/v1", api_key="sk-dummy", max_retries=0) as made:
        yield made


@pytest.fixture
def aclient(wire: Wire) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{wire.url}/v1", api_key="sk-dummy", max_retries=0)


def test_chat_completion(wire: Wire, client: openai.OpenAI, recorder: Recorder) -> None:
    picture = b"\x89PNG" * 200
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    wire.json(completion({"content": "One"}, {"content": None, "refusal": "No."}))
    client.chat.completions.create(
        model="gpt-asked",
        n=2,
        temperature=0.5,
        messages=[
            {"role": "developer", "content": "Be kind"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": url}},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "two"},
        ],
    )
    (span,) = recorder.spans
    assert (span.provider, span.model) == ("openai", "gpt-test")
    assert span.system == "Be kind"
    assert [message.role for message in span.input] == ["system", "user", "assistant", "tool"]
    assert [part.model_dump(exclude_none=True) for part in span.input[1].parts] == [
        {"type": "text", "content": "Look"},
        {
            "type": "blob",
            "mime_type": "image/png",
            "sha256": hashlib.sha256(picture).hexdigest(),
            "size": 800,
            "modality": "image",
        },
        {"type": "uri", "uri": "https://x.test/a.png", "modality": "image"},
    ]
    call = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
    assert span.input[2].parts[0].model_dump(exclude_none=True) == call
    answer = {"type": "tool_call_response", "id": "c1", "response": "two"}
    assert span.input[3].parts[0].model_dump(exclude_none=True) == answer
    assert [message.text for message in span.output] == ["One", "No."]
    assert span.output[1].parts[0].model_dump()["refusal"] is True
    assert span.usage == Usage(input_tokens=30, output_tokens=8, cache_read_tokens=20)
    assert span.metadata["reasoning_tokens"] == 6
    assert span.metadata["request"] == {"n": 2, "temperature": 0.5}


def test_chat_stream(wire: Wire, client: openai.OpenAI, recorder: Recorder) -> None:
    wire.sse(*chunks(wire, {"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}))
    list(client.chat.completions.create(**CHAT, stream=True))
    wire.sse(
        *chunks(
            wire,
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
            {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
        )
    )
    list(client.chat.completions.create(**CHAT, stream=True))
    wire.sse(*chunks(wire, {"content": "By "}, {"content": "helper"}))
    with client.chat.completions.stream(**CHAT) as stream:
        stream.until_done()
    wire.sse(*chunks(wire, {"content": "Cut"}, {"content": " off"}, {"content": "!"}), pause_s=0.02)
    with client.chat.completions.create(**CHAT, stream=True) as events:
        for _ in events:
            break
    plain, tools, helper, cut = recorder.spans
    assert (plain.text, plain.output[0].finish_reason) == ("Hello", "stop")
    assert plain.usage == Usage(input_tokens=30, output_tokens=8, cache_read_tokens=20)
    assert [part.model_dump(exclude_none=True) for part in tools.output[0].parts] == [
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call", "id": "c2", "name": "g", "arguments": {}},
    ]
    assert helper.text == "By helper"
    assert [span.metadata.get("complete") for span in recorder.spans] == [None, None, None, False]
    assert cut.text == "Cut"
    assert cut.usage == Usage()
    assert cut.cost_usd is None


def test_response(wire: Wire, client: openai.OpenAI, recorder: Recorder) -> None:
    wire.json(
        response(
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": "q"}},
            {"type": "function_call", "id": "f", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
            spoken("Done"),
        )
    )
    client.responses.create(
        model="gpt-asked",
        instructions="Be kind",
        max_output_tokens=99,
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Add"}]},
            {"type": "function_call", "call_id": "c0", "name": "add", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c0", "output": "3"},
        ],
    )
    wire.json(response(spoken("Short")))
    client.responses.create(model="gpt-asked", input="Just text")
    wire.json(response(status="failed", error={"code": "server_error", "message": "broke"}))
    client.responses.create(model="gpt-asked", input="x")
    first, second, third = recorder.spans
    assert first.system == "Be kind"
    assert [message.role for message in first.input] == ["system", "user", "assistant", "tool"]
    assert first.input[3].parts[0].model_dump(exclude_none=True) == {
        "type": "tool_call_response",
        "id": "c0",
        "response": "3",
    }
    (message,) = first.output
    assert [part.type for part in message.parts] == [
        "reasoning",
        "web_search_call",
        "tool_call",
        "text",
    ]
    assert message.parts[2].model_dump(exclude_none=True)["arguments"] == {"a": 1}
    assert (first.text, message.finish_reason) == ("Done", "completed")
    assert first.usage == Usage(input_tokens=30, output_tokens=8, cache_read_tokens=20, cache_write_tokens=2)
    assert first.metadata["reasoning_tokens"] == 6
    assert first.metadata["request"] == {"max_output_tokens": 99}
    assert [(m.role, m.text) for m in second.input] == [("user", "Just text")]
    assert second.text == "Short"
    assert third.error == "server_error: broke"


def response_events(wire: Wire, *pieces: str) -> list[bytes]:
    item = {**spoken(""), "content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"output_index": 0, "content_index": 0, "item_id": "m1"}
    whole = response(spoken("".join(pieces)))
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress", usage=None)},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in pieces
        ),
        {"type": "response.completed", "response": whole},
    ]
    return [
        wire.event(event["type"], {**event, "sequence_number": number}) for number, event in enumerate(events)
    ]


def test_response_stream(wire: Wire, client: openai.OpenAI, recorder: Recorder) -> None:
    wire.sse(*response_events(wire, "Hel", "lo"))
    list(client.responses.create(model="gpt-asked", input="Hi", stream=True))
    wire.sse(*response_events(wire, "Cut", " off", "!"), pause_s=0.02)
    with client.responses.create(model="gpt-asked", input="Hi", stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                break
    whole, cut = recorder.spans
    assert (whole.text, whole.usage.input_tokens) == ("Hello", 30)
    assert "complete" not in whole.metadata
    assert whole.metadata["time_to_first_token_ms"] > 0
    assert (cut.text, cut.usage, cut.metadata["complete"]) == ("Cut", Usage(), False)
    assert cut.model == "gpt-test"


def test_async_calls(wire: Wire, aclient: openai.AsyncOpenAI, recorder: Recorder) -> None:
    async def main() -> None:
        wire.json(completion({"content": "Plain"}))
        await aclient.chat.completions.create(**CHAT)
        wire.sse(*chunks(wire, {"content": "Str"}, {"content": "eam"}))
        async for _ in await aclient.chat.completions.create(**CHAT, stream=True):
            pass
        wire.sse(*response_events(wire, "Respon", "se"))
        async with aclient.responses.stream(model="gpt-asked", input="Hi") as stream:
            async for _ in stream:
                pass
        await aclient.close()

    asyncio.run(main())
    assert [span.text for span in recorder.spans] == ["Plain", "Stream", "Response"]
    assert [span.metadata.get("complete") for span in recorder.spans] == [None, None, None]


def test_an_answer_that_is_whole_has_no_error(
    wire: Wire, aclient: openai.AsyncOpenAI, recorder: Recorder
) -> None:
    async def main() -> None:
        # The SDK waits 100 ms for the end of the body, then cancels its own reading.
        wire.sse(b"".join(chunks(wire, {"content": "Done"})), pause_s=0.5)
        async for _ in await aclient.chat.completions.create(**CHAT, stream=True):
            pass
        await aclient.close()

    asyncio.run(main())
    (span,) = recorder.spans
    assert (span.text, span.error, span.attempts[0].error) == ("Done", None, None)
    assert "complete" not in span.metadata


def test_azure_paths_are_recognised(wire: Wire, recorder: Recorder) -> None:
    wire.json(completion({"content": "Azure"}))
    with openai.AzureOpenAI(azure_endpoint=wire.url, api_key="k" * 32, api_version="2026-01-01") as client:
        client.chat.completions.create(**CHAT)
    (span,) = recorder.spans
    assert span.text == "Azure"
    assert span.metadata["url"] == f"{wire.url}/openai/deployments/gpt-asked/chat/completions"
    assert recorder.secrets == {"k" * 32}
