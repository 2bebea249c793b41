from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from pytest_kaizen.scripted import ScriptedLLM, ToolCall, Usage

ARGS: dict[str, Any] = {
    "model": "gpt-x",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Where is my parcel?"}]},
    ],
}
WEATHER = ToolCall("weather", {"city": "Zürich", "days": [1, 2, 3], "note": "a longer argument text"})


def test_plain(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("On its way.")
    completion = gpt.chat.completions.create(**ARGS)
    (choice,) = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("On its way.", "stop")
    assert completion.model == "gpt-x"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (9, 3)
    assert completion.usage.total_tokens == 12


def test_what_was_asked(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("ok")
    gpt.chat.completions.create(**ARGS)
    (request,) = llm.requests
    assert (request.api, request.model, request.system) == ("openai.chat", "gpt-x", "Be kind.")
    assert request.messages == ARGS["messages"]
    assert request.last_user_text == "Where is my parcel?"
    assert "authorization" not in request.headers
    assert "sk-secret" not in str(dict(request.headers))


def test_path_without_v1(llm: ScriptedLLM) -> None:
    llm.reply("ok")
    with openai.OpenAI(base_url=llm.url, api_key="none") as client:
        assert client.chat.completions.create(**ARGS).choices[0].message.content == "ok"


def test_given_usage_and_stop_reason(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply(
        "cut",
        usage=Usage(input_tokens=100, output_tokens=9, cache_read_tokens=60),
        stop_reason="max_tokens",
    )
    completion = gpt.chat.completions.create(**ARGS)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (100, 9)
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 60


def test_tool_call_and_its_result(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply(tool_calls=[ToolCall("weather", {"city": "Bern"}, id="call_1")], when="parcel")
    llm.reply("Sunny.", when="21 degrees")
    first = gpt.chat.completions.create(**ARGS).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.content is None
    assert first.message.tool_calls is not None
    assert first.message.tool_calls[0].to_dict() == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
    }
    messages = [
        *ARGS["messages"],
        first.message.to_dict(),
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    assert gpt.chat.completions.create(model="m", messages=messages).choices[0].message.content == "Sunny."


@pytest.mark.parametrize("with_usage", [False, True])
def test_stream(llm: ScriptedLLM, gpt: openai.OpenAI, with_usage: bool) -> None:
    llm.reply("On its way.")
    chunks = list(
        gpt.chat.completions.create(**ARGS, stream=True, stream_options={"include_usage": with_usage})
    )
    deltas = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert deltas == ["", "On", " its", " way.", ""]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices] == [None] * 4 + ["stop"]
    usages = [chunk.usage.total_tokens for chunk in chunks if chunk.usage is not None]
    assert usages == ([12] if with_usage else [])


def test_raw_stream_ends_with_done(llm: ScriptedLLM) -> None:
    llm.reply("ok")
    body = {**ARGS, "stream": True}
    response = httpx.post(f"{llm.url}/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = response.text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(line.startswith("data: {") for line in lines[:-2])


def test_stream_helper_assembles_what_plain_gives(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("On its  way.\n", tool_calls=[WEATHER, ToolCall("now")])
    plain = gpt.chat.completions.create(**ARGS).choices[0]
    with gpt.chat.completions.stream(**ARGS) as stream:
        events = [event.type for event in stream]
        streamed = stream.get_final_completion().choices[0]
    assert "content.done" in events
    assert "tool_calls.function.arguments.done" in events
    assert streamed.message.content == plain.message.content == "On its  way.\n"
    assert plain.message.tool_calls is not None
    assert streamed.message.tool_calls is not None

    def _calls(calls: Any) -> list[tuple[str, str]]:
        return [(call.function.name, call.function.arguments) for call in calls]

    assert _calls(streamed.message.tool_calls) == _calls(plain.message.tool_calls)
    assert streamed.finish_reason == "tool_calls"


def test_async_plain_and_streamed(llm: ScriptedLLM) -> None:
    llm.reply("On its way.")

    async def _ask() -> tuple[str | None, str | None, int]:
        async with openai.AsyncOpenAI(base_url=f"{llm.url}/v1", api_key="none") as client:
            plain = await client.chat.completions.create(**ARGS)
            async with client.chat.completions.stream(**ARGS) as stream:
                final = await stream.get_final_completion()
            chunks = [c async for c in await client.chat.completions.create(**ARGS, stream=True)]
            return plain.choices[0].message.content, final.choices[0].message.content, len(chunks)

    assert asyncio.run(_ask()) == ("On its way.", "On its way.", 5)


def test_structured_output(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    class Verdict(BaseModel):
        reason: str
        score: int

    llm.reply(json={"reason": "short", "score": 4})
    completion = gpt.chat.completions.parse(**ARGS, response_format=Verdict)
    assert completion.choices[0].message.parsed == Verdict(reason="short", score=4)
    schema = llm.requests[0].schema
    assert schema is not None
    assert set(schema["properties"]) == {"reason", "score"}


def test_errors_have_the_api_s_shape(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.fail(429, message="slow down", times=None)
    with pytest.raises(openai.RateLimitError) as caught:
        gpt.chat.completions.create(**ARGS)
    expected = {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}
    assert caught.value.response.json() == {"error": expected}
    assert caught.value.request_id is not None


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"nonsense", "the body is not JSON"),
        (b"{}", "model: expected a string (found None)"),
        (b'{"model": "m"}', "messages: expected a list with at least one message"),
        (b'{"model": "m", "messages": [{"role": "robot"}]}', "messages.0.role: expected one of assistant,"),
    ],
)
def test_malformed_bodies(llm: ScriptedLLM, body: bytes, complaint: str) -> None:
    response = httpx.post(f"{llm.url}/v1/chat/completions", content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert complaint in error["message"]
