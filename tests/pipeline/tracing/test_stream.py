"""Streamed answers whose readers stop early."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from pytest_kaizen import instrument

if TYPE_CHECKING:
    from pytest_kaizen.scripted import ScriptedLLM
    from tests.pipeline.tracing.conftest import Outside

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@instrument
def words(text: str) -> Iterator[str]:
    yield from text.split()


@instrument
async def awords(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


def kept(outside: Outside) -> list[tuple[Any, Any]]:
    """The texts of the traces, with whether each answer was read to its end; the oldest first."""
    found = [(t.spans[0].text, t.spans[0].metadata.get("complete")) for t in outside.traces()]
    return found[::-1]


def test_a_stream_of_the_async_sdk_that_is_closed(outside: Outside, llm: ScriptedLLM) -> None:
    llm.reply(chunks=["a", "b", "c"])

    async def main() -> None:
        async with instrument(anthropic.AsyncAnthropic(api_key="k", base_url=llm.url)) as client:
            stream = await client.messages.create(**ASKED, stream=True)
            async for event in stream:
                if event.type == "content_block_delta":
                    break
            await stream.close()
            assert stream.ct_trace_id

    asyncio.run(main())
    assert kept(outside) == [("a", False)]


def test_generators_that_are_closed(outside: Outside) -> None:
    async def main() -> None:
        stream: Any = awords("c d")
        assert await anext(stream) == "c"
        await stream.aclose()

    stream: Any = words("a b")
    assert next(stream) == "a"
    stream.close()
    asyncio.run(main())
    assert kept(outside) == [("a", False), ("c", False)]


@pytest.mark.parametrize("ended_by", ["another trace", "the end"])
def test_a_stream_that_is_dropped(outside: Outside, ended_by: str) -> None:
    for word in words("a b"):
        assert word == "a"
        break
    gc.collect()
    if ended_by == "another trace":
        assert list(words("c d")) == ["c", "d"]
        assert sorted(kept(outside)) == [("a", False), ("cd", None)]
    else:
        outside.end()
        assert kept(outside) == [("a", False)]


def test_a_stream_that_was_read_is_kept_once(outside: Outside) -> None:
    stream = words("a b")
    assert list(stream) == ["a", "b"]
    del stream
    gc.collect()
    outside.end()
    assert kept(outside) == [("ab", None)]
