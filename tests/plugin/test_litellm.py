"""The real litellm, with its own transports, in a suite of its own process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

# It pins an older openai than the one that is tested here.
pytestmark = pytest.mark.skipif(
    find_spec("litellm") is None, reason="litellm is not installed: pip install litellm"
)
TEST = """
    import asyncio

    import litellm
    import pytest
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport
    from pytest_kaizen import instrument

    ASKED = {"messages": [{"role": "user", "content": "hi"}]}

    def text(chunks):
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    async def alone(model):
        return (await litellm.acompletion(model=model, **ASKED)).choices[0].message.content

    async def streamed(model):
        return text([c async for c in await litellm.acompletion(model=model, stream=True, **ASKED)])

    @pytest.mark.parametrize("name", ["as it comes", "instrumented"])
    @pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "openai/gpt-4o-mini"])
    def test_it(monkeypatch, name, model):
        if name == "instrumented":
            for function in ("completion", "acompletion"):
                monkeypatch.setattr(litellm, function, getattr(litellm, function))
            instrument(litellm)
        passed = []
        send = LiteLLMAiohttpTransport.handle_async_request
        monkeypatch.setattr(
            LiteLLMAiohttpTransport, "handle_async_request", lambda *args: passed.append(1) or send(*args)
        )
        answers = [
            litellm.completion(model=model, **ASKED).choices[0].message.content,
            text(litellm.completion(model=model, stream=True, **ASKED)),
            asyncio.run(alone(model)),
            asyncio.run(streamed(model)),
        ]
        assert answers == ["Hello!"] * 4
        print("over aiohttp:", len(passed))

    def test_an_answer_of_its_own(monkeypatch):
        instrument(litellm)
        ask = {"model": "openai/gpt-4o-mini", "mock_response": "mocked", **ASKED}
        assert litellm.completion(**ask).ct_trace_id
        assert text(litellm.completion(stream=True, **ask)) == "mocked"
"""


def test_calls_are_seen_once_and_replayed(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would fetch a list of prices.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    for name, value in suite.llm.environ.items():
        monkeypatch.setenv(name, value)
    suite.llm.reply("Hello!")
    suite.write(TEST)
    for mode in ("new", "replay"):
        # It leaves connections open.
        suite.run_alone("-s", "-Wignore", f"--kaizen-record={mode}", passed=5, code=0)
        assert len(suite.llm.requests) == 16
        assert suite.text.count("over aiohttp: 2") == (4 if mode == "new" else 0)
        *over_http, own = (case.samples[0].trace.spans for case in suite.cases.values())
        assert [[span.text for span in spans] for spans in over_http] == [["Hello!"] * 4] * 4
        assert [span.text for span in own] == ["mocked", "mocked"]
        replayed = {span.replayed for spans in over_http for span in spans}
        assert replayed == {mode == "replay"}
