"""What is instrumented is a span of the test that calls it, once, and answers as before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from pytest_kaizen import instrument
from pytest_kaizen.errors import CaptureError, ScoreError
from pytest_kaizen.models import Span

if TYPE_CHECKING:
    from pytest_kaizen.pipeline import LiveSample
    from pytest_kaizen.scripted import ScriptedLLM

Chat = Callable[..., dict[str, Any]]
ASKED: dict[str, Any] = {"model": "claude-test", "messages": [{"role": "user", "content": "hi"}]}


def only(live: LiveSample) -> Span:
    (span,) = live.recorder.close()
    return span


# --- SDKs: what capture sees below is not counted again


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_is_counted_once(live: LiveSample, llm: ScriptedLLM, stream: bool) -> None:
    with instrument(anthropic.Anthropic(api_key="k", base_url=llm.url)) as client:
        answer: Any = client.messages.create(**ASKED, max_tokens=9, stream=stream)
        if stream:
            assert isinstance(answer, anthropic.Stream)
            assert len(list(answer)) > 2
        else:
            assert answer.content[0].text == "Hello!"
            assert "ct_trace_id" not in answer.model_dump()
    span = only(live)
    assert (span.text, span.metadata["status"]) == ("Hello!", 200)
    assert answer.ct_trace_id == live.trace_id
    answer.ct_score(0.7)
    assert [(score.name, score.value) for score in live.scores] == [("ct_score", 0.7)]
    with pytest.raises(ScoreError, match=r"'ct_score': a score is a number in \[0, 1\] \(found 2\)"):
        answer.ct_score(2)


def test_a_stream_manager_gives_its_final_message(live: LiveSample, llm: ScriptedLLM) -> None:
    with (
        instrument(anthropic.Anthropic(api_key="k", base_url=llm.url)) as client,
        client.messages.stream(**ASKED, max_tokens=9) as stream,
    ):
        assert stream.get_final_message().content[0].text == "Hello!"  # type: ignore[union-attr]
    assert stream.ct_trace_id == live.trace_id  # type: ignore[attr-defined]
    assert only(live).text == "Hello!"


def test_an_async_client_is_counted_once(live: LiveSample, llm: ScriptedLLM) -> None:
    async def main() -> None:
        async with instrument(openai.AsyncOpenAI(api_key="k", base_url=f"{llm.url}/v1")) as client:
            answer: Any = await client.chat.completions.create(**ASKED)
            assert answer.ct_trace_id == live.trace_id
            pieces = [chunk async for chunk in await client.chat.completions.create(**ASKED, stream=True)]
            assert (
                "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "Hello!"
            )
            async with client.chat.completions.stream(**ASKED) as stream:
                assert [event async for event in stream]

    asyncio.run(main())
    assert [span.text for span in live.recorder.close()] == ["Hello!"] * 3


@pytest.mark.parametrize("module", [anthropic, openai])
def test_a_module_is_instrumented_once(
    live: LiveSample, llm: ScriptedLLM, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = (
        anthropic.resources.messages.Messages
        if module is anthropic
        else openai.resources.chat.completions.Completions
    )
    for kind in _method_owners():
        for name in ("create", "stream", "parse"):
            if name in vars(kind):
                monkeypatch.setattr(kind, name, vars(kind)[name])
    assert instrument(module) is module
    create = vars(owner)["create"]
    instrument(module)
    assert vars(owner)["create"] is create
    if module is anthropic:
        with anthropic.Anthropic(api_key="k", base_url=llm.url) as client:
            answer: Any = instrument(client).messages.create(**ASKED, max_tokens=9)
    else:
        with openai.OpenAI(api_key="k", base_url=f"{llm.url}/v1") as other:
            answer = other.chat.completions.create(**ASKED)
    assert answer.ct_trace_id == live.trace_id
    assert only(live).text == "Hello!"


def _method_owners() -> list[type[Any]]:
    from anthropic.resources import beta, messages
    from openai.resources import responses
    from openai.resources.chat import completions

    return [
        messages.Messages,
        messages.AsyncMessages,
        beta.messages.Messages,
        beta.messages.AsyncMessages,
        completions.Completions,
        completions.AsyncCompletions,
        responses.Responses,
        responses.AsyncResponses,
    ]


# --- calls that go another way


def test_a_function_in_the_shape_of_an_api(live: LiveSample, chat: Chat) -> None:
    def ask(model: str, messages: Any, **more: Any) -> Any:
        return SimpleNamespace(model_dump=lambda: chat(f"{messages[-1]['content']} to you", model), **more)

    answer = instrument(ask)("m-1", [{"role": "user", "content": "hi"}], temperature=0)
    span = only(live)
    assert (span.name, span.model, span.kind, span.error) == ("chat m-1", "m-1", "LLM", None)
    assert [(message.role, message.text) for message in span.input] == [("user", "hi")]
    assert (span.text, span.usage.input_tokens, span.usage.output_tokens) == ("hi to you", 7, 2)
    assert span.cost_usd == 0.007
    assert span.metadata["request"] == {"temperature": 0}
    assert answer.ct_trace_id == live.trace_id


def test_a_system_prompt_and_a_message(live: LiveSample) -> None:
    @instrument
    def ask(**kwargs: Any) -> dict[str, Any]:  # noqa: ARG001
        return {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "yes"}]}

    assert ask(system="Be short.", messages=[{"role": "user", "content": "hi"}])["role"] == "assistant"
    span = only(live)
    assert [(message.role, message.text) for message in span.input] == [
        ("system", "Be short."),
        ("user", "hi"),
    ]
    assert span.text == "yes"


def test_any_function(live: LiveSample) -> None:
    @instrument
    def ask(prompt: str, client: object = None) -> str:  # noqa: ARG001
        return prompt.upper()

    assert ask("hi") == "HI"
    assert ask("ho", client=object()) == "HO"
    first, second = live.recorder.close()
    assert (first.input[0].text, first.text) == ("hi", "HI")
    assert second.input[0].text == '{"prompt": "ho", "client": "<object>"}'
    assert first.name.endswith("test_any_function.<locals>.ask")


def test_an_exception_is_recorded_and_goes_on(live: LiveSample) -> None:
    @instrument
    def ask(prompt: str) -> str:
        raise ValueError(prompt)

    @instrument
    async def aask(prompt: str) -> str:
        raise KeyError(prompt)

    with pytest.raises(ValueError, match="hi"):
        ask("hi")
    with pytest.raises(KeyError):
        asyncio.run(aask("ho"))
    assert [span.error for span in live.recorder.close()] == ["ValueError: hi", "KeyError: 'ho'"]


def test_generators(live: LiveSample) -> None:
    @instrument
    def words(prompt: str) -> Iterator[str]:
        yield from prompt.split()

    @instrument
    async def awords(prompt: str) -> AsyncIterator[str]:
        for word in prompt.split():
            yield word

    @instrument
    def broken(prompt: str) -> Iterator[str]:
        yield prompt
        raise OSError("gone")

    async def read() -> list[str]:
        return [word async for word in awords("c d")]

    assert list(words("a b")) == ["a", "b"]
    assert asyncio.run(read()) == ["c", "d"]
    part = words("e f")
    assert next(part) == "e"
    part.close()  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="gone"):
        list(broken("g"))
    assert next(words("h i")) == "h"
    whole, awhole, partly, cut, left = live.recorder.close()
    assert [span.text for span in (whole, awhole, partly, cut)] == ["ab", "cd", "e", "g"]
    assert [span.metadata.get("complete") for span in (whole, awhole, partly)] == [None, None, False]
    assert (cut.error, left.metadata["complete"]) == ("OSError: gone", False)


def test_a_litellm_module(live: LiveSample, chat: Chat) -> None:
    litellm: Any = ModuleType("litellm")

    def completion(stream: bool = False, **kwargs: Any) -> Any:
        if stream:
            deltas = [{"content": "Hel"}, {"content": "lo"}]
            return iter([{"model": "m-1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas])
        return SimpleNamespace(model_dump=lambda: chat("plain", kwargs["model"]))

    async def acompletion(**kwargs: Any) -> Any:
        return completion(**kwargs)

    litellm.completion, litellm.acompletion = completion, acompletion
    assert instrument(litellm) is litellm
    assert instrument(litellm).completion is litellm.completion
    assert litellm.completion(**ASKED).ct_trace_id == live.trace_id
    assert asyncio.run(litellm.acompletion(**ASKED)).ct_trace_id == live.trace_id
    assert len(list(litellm.completion(stream=True, **ASKED))) == 2
    assert [span.text for span in live.recorder.close()] == ["plain", "plain", "Hello"]


def test_nested_calls_are_counted_where_they_are_made(live: LiveSample, llm: ScriptedLLM) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=llm.url)

    @instrument
    def inner(prompt: str) -> str:
        return prompt

    @instrument
    def outer(prompt: str) -> str:
        return inner(prompt) + "!"

    @instrument
    def in_a_thread() -> str:
        thread = threading.Thread(target=lambda: client.messages.create(**ASKED, max_tokens=9))
        thread.start()
        thread.join()
        return "done"

    with client:
        assert outer("hi") == "hi!"
        assert in_a_thread() == "done"
    assert [span.text for span in live.recorder.close()] == ["hi", "Hello!"]


def test_a_call_within_a_generator_is_counted_once(live: LiveSample, llm: ScriptedLLM) -> None:
    @instrument
    def answers(client: anthropic.Anthropic) -> Iterator[str]:
        yield "first"
        client.messages.create(**ASKED, max_tokens=9)

    with anthropic.Anthropic(api_key="k", base_url=llm.url) as client:
        assert list(answers(client)) == ["first"]
    assert [span.text for span in live.recorder.close()] == ["Hello!"]


def test_what_cannot_be_read_does_not_harm(live: LiveSample) -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    @instrument
    def ask(prompt: Any) -> Any:
        return prompt

    odd = Odd()
    cycle: list[Any] = []
    cycle.append(cycle)
    assert ask(odd) is odd
    assert ask(cycle) is cycle
    assert ask({"choices": [3, {"message": "no"}], "usage": 4})["usage"] == 4
    assert ask(b"x" * 9) == b"x" * 9
    spans = live.recorder.close()
    assert [span.input[0].text for span in spans][::3] == ["<Odd>", "<9 bytes>"]
    assert len(spans) == 4


def test_what_cannot_be_instrumented() -> None:
    with pytest.raises(CaptureError, match=r"'json' is not known \(known are litellm, anthropic, openai\)"):
        instrument(__import__("json"))
    with pytest.raises(CaptureError, match=r"expected a module .* or a function \(found 3\)"):
        instrument(3)
    with pytest.raises(CaptureError, match="found <class 'dict'>"):
        instrument(dict)


def test_twice_is_once() -> None:
    def ask() -> str:
        return "hi"

    once = instrument(ask)
    assert instrument(once) is once
    assert once.__name__ == "ask"
