"""The official SDKs through the proxy, as they are used with a provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from pytest_kaizen.models import Trace
from pytest_kaizen.scripted import ScriptedLLM, ToolCall

from .conftest import ASK, OUR_KEY, PROVIDER_KEY, Serve

Kept = Callable[[], list[Trace]]
TOOL = ToolCall("lookup", {"order": 7})


def claude(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"{url}/api", api_key=PROVIDER_KEY, max_retries=0, default_headers={"X-Kaizen-Key": OUR_KEY}
    )


def gpt(url: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{url}/api/v1",
        api_key=PROVIDER_KEY,
        max_retries=0,
        default_headers={"X-Kaizen-Key": OUR_KEY},
    )


def only(traces: list[Trace]) -> Trace:
    (trace,) = traces
    return trace


@pytest.mark.wire("kalmia: POST /api/v1/messages")
def test_anthropic_plain(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    llm.reply("Hello there")
    with serve(llm.url) as url, claude(url) as client:
        reply = client.messages.create(**ASK, system="Be brief")
    assert reply.model_dump()["content"][0]["text"] == "Hello there"
    assert reply._request_id == "req_scripted_1"
    (asked,) = llm.requests
    assert not [name for name in asked.headers if name.startswith("x-kaizen")]
    trace = only(kept())
    (span,) = trace.spans
    assert (trace.output, trace.error, trace.metadata) == ("Hello there", None, {"source": "proxy"})
    assert (span.provider, span.system, span.text) == ("anthropic", "Be brief", "Hello there")
    assert span.usage.output_tokens == reply.usage.output_tokens
    assert span.cost_usd is not None
    assert PROVIDER_KEY not in trace.model_dump_json()
    assert OUR_KEY not in trace.model_dump_json()


def test_anthropic_streamed(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    llm.reply(chunks=["Hel", "lo ", "there"])
    with serve(llm.url) as url, claude(url) as client, client.messages.stream(**ASK) as stream:
        assert list(stream.text_stream) == ["Hel", "lo ", "there"]
    (span,) = only(kept()).spans
    assert span.text == "Hello there"
    assert span.metadata["stream"] is True
    assert "complete" not in span.metadata
    assert span.metadata["time_to_first_token_ms"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_tools(llm: ScriptedLLM, serve: Serve, kept: Kept, stream: bool) -> None:
    llm.reply(tool_calls=[TOOL])
    tool: Any = {"name": "lookup", "input_schema": {"type": "object"}}
    with serve(llm.url) as url, claude(url) as client:
        if stream:
            with client.messages.stream(**ASK, tools=[tool]) as streamed:
                reply = streamed.get_final_message().model_dump()
        else:
            reply = client.messages.create(**ASK, tools=[tool]).model_dump()
    assert (reply["content"][0]["name"], reply["content"][0]["input"]) == ("lookup", {"order": 7})
    (part,) = only(kept()).spans[0].output[0].parts
    assert part.model_dump(include={"type", "name", "arguments"}) == {
        "type": "tool_call",
        "name": "lookup",
        "arguments": {"order": 7},
    }


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_anthropic_errors(
    llm: ScriptedLLM, serve: Serve, kept: Kept, status: int, kind: type[anthropic.APIStatusError], name: str
) -> None:
    llm.fail(status, message="not today")
    with serve(llm.url) as url, claude(url) as client, pytest.raises(kind, match="not today") as caught:
        client.messages.create(**ASK)
    assert caught.value.status_code == status
    assert caught.value.request_id == "req_scripted_1"
    trace = only(kept())
    assert trace.error == trace.spans[0].error == f"{status} {name}: not today"


@pytest.mark.wire("kalmia: POST /api/v1/chat/completions")
def test_openai_plain(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    llm.reply("Hello there")
    with serve(llm.url) as url, gpt(url) as client:
        reply = client.chat.completions.create(model="gpt-5-mini", messages=ASK["messages"])
    assert reply.choices[0].message.content == "Hello there"
    (span,) = only(kept()).spans
    assert (span.provider, span.text) == ("openai", "Hello there")
    assert PROVIDER_KEY not in only(kept()).model_dump_json()


def test_openai_streamed(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    llm.reply(chunks=["Hel", "lo"])
    with serve(llm.url) as url, gpt(url) as client:
        stream = client.chat.completions.create(
            model="gpt-5-mini",
            messages=ASK["messages"],
            stream=True,
            stream_options={"include_usage": True},
        )
        texts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [text for text in texts if text] == ["Hel", "lo"]
    (span,) = only(kept()).spans
    assert span.text == "Hello"
    assert span.usage.input_tokens is not None
    assert "complete" not in span.metadata


@pytest.mark.parametrize("stream", [False, True])
def test_openai_tools(llm: ScriptedLLM, serve: Serve, kept: Kept, stream: bool) -> None:
    llm.reply(tool_calls=[TOOL])
    with serve(llm.url) as url, gpt(url) as client:
        asked: dict[str, Any] = {"model": "gpt-5-mini", "messages": ASK["messages"]}
        if stream:
            with client.chat.completions.stream(**asked) as events:
                reply = events.get_final_completion()
        else:
            reply = client.chat.completions.create(**asked)
    called = reply.choices[0].message.model_dump()["tool_calls"][0]["function"]
    assert (called["name"], called["arguments"]) == ("lookup", '{"order": 7}')
    (part,) = only(kept()).spans[0].output[0].parts
    assert part.model_dump(include={"name", "arguments"}) == {"name": "lookup", "arguments": {"order": 7}}


def test_openai_errors(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    llm.fail(401, message="no such key")
    with (
        serve(llm.url) as url,
        gpt(url) as client,
        pytest.raises(openai.AuthenticationError, match="no such key"),
    ):
        client.chat.completions.create(model="gpt-5-mini", messages=ASK["messages"])
    assert only(kept()).error == "401 authentication_error: no such key"


def test_our_own_refusals_are_errors_of_the_sdks(llm: ScriptedLLM, serve: Serve, kept: Kept) -> None:
    refused = "give a key in the header X-Kaizen-Key"
    with serve(llm.url) as url:
        one = anthropic.Anthropic(base_url=f"{url}/api", api_key="k", max_retries=0)
        with one, pytest.raises(anthropic.AuthenticationError, match=refused):
            one.messages.create(**ASK)
        other = openai.OpenAI(base_url=f"{url}/api/v1", api_key="k", max_retries=0)
        with other, pytest.raises(openai.AuthenticationError, match=refused):
            other.chat.completions.create(model="m", messages=ASK["messages"])
    assert llm.requests == []
    assert kept() == []


def test_the_block_in_the_readme(
    llm: ScriptedLLM, serve: Serve, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- proxy -->\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    llm.reply("Hello there")
    monkeypatch.setenv("KAIZEN_API_KEY", OUR_KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", PROVIDER_KEY)
    names: dict[str, Any] = {}
    with serve(llm.url) as url:
        exec(found[1].replace("http://127.0.0.1:8000", url), names)
        names["client"].close()
    assert only(kept()).output == "Hello there"
