from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import httpx
import httpx2
import pytest
from anthropic.types import Message, MessageParam, TextBlock, ToolUseBlock
from pydantic import BaseModel

from pytest_kaizen.scripted import ScriptedLLM, ToolCall, Usage

QUESTION: list[MessageParam] = [{"role": "user", "content": "Where is my parcel?"}]
ARGS: dict[str, Any] = {"model": "claude-x", "max_tokens": 100, "messages": QUESTION}
WEATHER = ToolCall("weather", {"city": "Zürich", "days": [1, 2, 3], "note": "a longer argument text"})


def _text(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))


def test_plain(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("On its way. ☃")
    message = claude.messages.create(**ARGS, system="Be kind.")
    assert _text(message) == "On its way. ☃"
    assert (message.model, message.role, message.stop_reason) == ("claude-x", "assistant", "end_turn")
    # 19 + 8 characters in, 13 out, four to a token.
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 4)


def test_what_was_asked(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("ok")
    claude.messages.create(
        **ARGS, system=[{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}]
    )
    (request,) = llm.requests
    assert (request.api, request.model, request.stream) == ("anthropic.messages", "claude-x", False)
    assert request.system == "Be kind.\nBe brief."
    assert request.messages == QUESTION
    assert request.last_user_text == "Where is my parcel?"
    assert request.body["max_tokens"] == 100
    assert request.headers["anthropic-version"]
    assert "sk-ant-secret" not in str(dict(request.headers))
    assert "x-api-key" not in request.headers


def test_ids_differ(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("ok")
    assert claude.messages.create(**ARGS).id != claude.messages.create(**ARGS).id


def test_given_usage_and_stop_reason(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply(
        "cut",
        usage=Usage(input_tokens=100, output_tokens=9, cache_read_tokens=60, cache_write_tokens=10),
        stop_reason="length",
    )
    message = claude.messages.create(**ARGS)
    assert message.stop_reason == "max_tokens"
    assert message.usage.input_tokens == 30
    assert message.usage.cache_read_input_tokens == 60
    assert message.usage.cache_creation_input_tokens == 10
    assert message.usage.output_tokens == 9


def test_tool_use_and_its_result(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply(tool_calls=[WEATHER], when="weather")
    llm.reply("Sunny.", when="21 degrees")
    asked: list[MessageParam] = [{"role": "user", "content": "How is the weather?"}]
    first = claude.messages.create(model="m", max_tokens=9, messages=asked)
    (call,) = first.content
    assert isinstance(call, ToolUseBlock)
    assert (call.name, call.input) == ("weather", WEATHER.arguments)
    assert first.stop_reason == "tool_use"
    result: MessageParam = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}],
    }
    answered: MessageParam = {"role": "assistant", "content": first.content}
    second = claude.messages.create(model="m", max_tokens=9, messages=[*asked, answered, result])
    assert _text(second) == "Sunny."


def test_stream_events(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply(chunks=["On its", " way"])
    kinds = [event.type for event in claude.messages.create(**ARGS, stream=True)]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_stream_helper_assembles_what_plain_gives(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("On its  way.\n", tool_calls=[WEATHER, ToolCall("now")], thinking="It left on Monday.")
    plain = claude.messages.create(**ARGS)
    with claude.messages.stream(**ARGS) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert pieces == ["On", " its", "  way.", "\n"]
    assert [block.type for block in plain.content] == ["thinking", "text", "tool_use", "tool_use"]

    def _parts(message: Message) -> list[dict[str, object]]:
        kept = ("type", "text", "thinking", "name", "input")
        return [{key: getattr(block, key, None) for key in kept} for block in message.content]

    assert _parts(streamed) == _parts(plain)
    assert streamed.usage.output_tokens == plain.usage.output_tokens
    assert streamed.stop_reason == "tool_use"


def test_async_plain_and_streamed(llm: ScriptedLLM) -> None:
    llm.reply("On its way.")

    async def _ask() -> tuple[str, str, int]:
        async with anthropic.AsyncAnthropic(base_url=llm.url, api_key="none") as client:
            plain = await client.messages.create(**ARGS)
            async with client.messages.stream(**ARGS) as stream:
                streamed = await stream.get_final_text()
            events = [event async for event in await client.messages.create(**ARGS, stream=True)]
            return _text(plain), streamed, len(events)

    assert asyncio.run(_ask()) == ("On its way.", "On its way.", 8)


def test_reader_may_stop_early(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("one two three " * 2000)
    for _ in range(3):
        with claude.messages.stream(**ARGS) as stream:
            assert next(iter(stream.text_stream)) == "one"
    llm.reply("still alive")
    assert _text(claude.messages.create(**ARGS)) == "still alive"


def test_stream_that_breaks_off(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.reply("one two three", cut_after=4)
    seen: list[str] = []
    with pytest.raises(httpx2.RemoteProtocolError):
        seen.extend(event.type for event in claude.messages.create(**ARGS, stream=True))
    assert "message_stop" not in seen


def test_structured_output(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    class Verdict(BaseModel):
        reason: str
        score: int

    llm.reply(json={"reason": "short", "score": 4})
    message = claude.messages.parse(**ARGS, output_format=Verdict)
    assert message.parsed_output == Verdict(reason="short", score=4)
    schema = llm.requests[0].schema
    assert schema is not None
    assert set(schema["properties"]) == {"reason", "score"}


def test_counts_tokens_without_a_script(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    count = claude.messages.count_tokens(model="claude-x", messages=QUESTION, system="Be kind.")
    assert count.input_tokens == 7
    assert [request.api for request in llm.requests] == ["anthropic.count_tokens"]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, anthropic.AuthenticationError, "authentication_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
        (418, anthropic.APIStatusError, "invalid_request_error"),
    ],
)
def test_errors_have_the_api_s_shape(
    llm: ScriptedLLM,
    claude: anthropic.Anthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    llm.fail(status, message="no luck", times=None)
    with pytest.raises(error) as caught:
        claude.messages.create(**ARGS)
    body = caught.value.response.json()
    assert body["type"] == "error"
    assert body["error"] == {"type": kind, "message": "no luck"}
    assert caught.value.request_id == body["request_id"]


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_parameters_that_the_api_version_no_longer_has(
    llm: ScriptedLLM, claude: anthropic.Anthropic, name: str
) -> None:
    llm.reply("ok")
    with pytest.raises(anthropic.BadRequestError, match=f"{name}: Extra inputs are not permitted"):
        claude.messages.create(**ARGS, extra_body={name: 1})
    older = {"anthropic-version": "2023-06-01"}
    assert _text(claude.messages.create(**ARGS, extra_body={name: 1}, extra_headers=older)) == "ok"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[]", "expected a JSON object (found list)"),
        (b"{}", "max_tokens: expected a count (found None)"),
        (b'{"max_tokens": 1}', "model: expected a string (found None)"),
        (b'{"max_tokens": 1, "model": "m", "messages": []}', "messages: expected a list with at least"),
        (b'{"max_tokens": 1, "model": "m", "messages": [3]}', "messages.0: expected an object (found int)"),
        (
            b'{"max_tokens": 1, "model": "m", "messages": [{"role": "robot", "content": ""}]}',
            "messages.0.role: expected user or assistant (found 'robot')",
        ),
        (
            b'{"max_tokens": 1, "model": "m", "messages": [{"role": "user"}]}',
            "messages.0.content: expected a string or a list of blocks",
        ),
    ],
)
def test_malformed_bodies(llm: ScriptedLLM, body: bytes, complaint: str) -> None:
    llm.reply("never")
    response = httpx.post(f"{llm.url}/v1/messages", content=body)
    assert response.status_code == 400
    error = json.loads(response.text)["error"]
    assert error["type"] == "invalid_request_error"
    assert complaint in error["message"]
    assert llm.requests == []
