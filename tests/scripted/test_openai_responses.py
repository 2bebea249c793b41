from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel

from pytest_kaizen.scripted import ScriptedLLM, ToolCall, Usage

ARGS: dict[str, Any] = {"model": "gpt-x", "instructions": "Be kind.", "input": "Where is my parcel?"}
WEATHER = ToolCall("weather", {"city": "Zürich", "days": [1, 2, 3], "note": "a longer argument text"})


def test_plain(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("On its way.")
    response = gpt.responses.create(**ARGS)
    assert (response.output_text, response.status, response.model) == ("On its way.", "completed", "gpt-x")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)


def test_what_was_asked(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("ok")
    gpt.responses.create(**ARGS)
    gpt.responses.create(
        model="gpt-x",
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "And now?"}]},
        ],
    )
    first, second = llm.requests
    assert (first.api, first.system) == ("openai.responses", "Be kind.")
    assert first.messages == [{"role": "user", "content": "Where is my parcel?"}]
    assert first.last_user_text == "Where is my parcel?"
    assert second.system == "Be kind.\nBe brief."
    assert second.last_user_text == "And now?"
    assert "sk-secret" not in str(dict(first.headers))


def test_given_usage_and_stop_reason(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply(
        "cut", usage=Usage(input_tokens=100, output_tokens=9, cache_read_tokens=60), stop_reason="max_tokens"
    )
    response = gpt.responses.create(**ARGS)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.total_tokens) == (100, 109)
    assert response.usage.input_tokens_details.cached_tokens == 60
    last = list(gpt.responses.create(**ARGS, stream=True))[-1]
    assert last.type == "response.incomplete"


def test_function_call_and_its_result(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply(tool_calls=[WEATHER], when="parcel")
    llm.reply("Sunny.", when="21 degrees")
    (call,) = gpt.responses.create(**ARGS).output
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.name == "weather"
    asked: list[Any] = [
        {"role": "user", "content": "Where is my parcel?"},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"},
    ]
    assert gpt.responses.create(model="m", input=asked).output_text == "Sunny."


def test_stream_events(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply(chunks=["On its", " way"])
    events = list(gpt.responses.create(**ARGS, stream=True))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))


def test_stream_helper_assembles_what_plain_gives(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.reply("On its  way.\n", tool_calls=[WEATHER, ToolCall("now")], thinking="It left on Monday.")
    plain = gpt.responses.create(**ARGS)
    with gpt.responses.stream(**ARGS) as stream:
        events = list(stream)
        streamed = stream.get_final_response()
    assert [item.type for item in plain.output] == ["reasoning", "message", "function_call", "function_call"]
    assert streamed.output_text == plain.output_text == "On its  way.\n"
    snapshots = [event.snapshot for event in events if event.type == "response.function_call_arguments.delta"]
    assert snapshots[-1] == "{}"
    assert '"note": "a longer argument text"}' in snapshots[-2]

    def _calls(response: Any) -> list[tuple[str, str]]:
        return [(i.name, i.arguments) for i in response.output if i.type == "function_call"]

    assert _calls(streamed) == _calls(plain)
    assert streamed.usage == plain.usage
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == [arguments for _, arguments in _calls(plain)]
    outputs: list[Any] = [*plain.output, *streamed.output]
    ids = [item.id for item in outputs]
    assert len(set(ids)) == 8


def test_async_plain_and_streamed(llm: ScriptedLLM) -> None:
    llm.reply("On its way.")

    async def _ask() -> tuple[str, str, int]:
        async with openai.AsyncOpenAI(base_url=f"{llm.url}/v1", api_key="none") as client:
            plain = await client.responses.create(**ARGS)
            async with client.responses.stream(**ARGS) as stream:
                final = await stream.get_final_response()
            events = [event async for event in await client.responses.create(**ARGS, stream=True)]
            return plain.output_text, final.output_text, len(events)

    assert asyncio.run(_ask()) == ("On its way.", "On its way.", 11)


def test_structured_output(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    class Verdict(BaseModel):
        reason: str
        score: int

    llm.reply(json={"reason": "short", "score": 4})
    response = gpt.responses.parse(**ARGS, text_format=Verdict)
    assert response.output_parsed == Verdict(reason="short", score=4)
    schema = llm.requests[0].schema
    assert schema is not None
    assert set(schema["properties"]) == {"reason", "score"}


def test_errors_have_the_api_s_shape(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.fail(500, message="broken", times=None)
    with pytest.raises(openai.InternalServerError) as caught:
        gpt.responses.create(**ARGS)
    expected = {"message": "broken", "type": "server_error", "param": None, "code": None}
    assert caught.value.response.json() == {"error": expected}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"nonsense", "the body is not JSON"),
        (b'{"input": "x"}', "model: expected a string (found None)"),
        (b'{"model": "m"}', "input: expected a string or a list of items"),
        (b'{"model": "m", "input": [1]}', "input.0: expected an object (found int)"),
    ],
)
def test_malformed_bodies(llm: ScriptedLLM, body: bytes, complaint: str) -> None:
    response = httpx.post(f"{llm.url}/v1/responses", content=body)
    assert response.status_code == 400
    assert complaint in response.json()["error"]["message"]
