"""What was recorded comes back as the client's own responses, without a connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from pytest_kaizen.errors import ReplayError

if TYPE_CHECKING:
    from pytest_kaizen.models import Span
    from tests.capture.cassettes.conftest import Deck
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def sdk(wire: Wire) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=wire.url, api_key="dummy", max_retries=2) as client:
        yield client


def _input(span: Span) -> str:
    return span.input[-1].text


def _data(chunk: bytes) -> Any:
    name, data, *_ = chunk.decode().split("\n")
    return name, json.loads(data.removeprefix("data: "))


def twice(deck: Deck, wire: Wire, body: Callable[[], Any]) -> tuple[Any, Any]:
    """Record a body, replay it with the server gone, and return what it gave each time."""
    (recorded,) = deck.run("new", body)
    before = deck.spans
    count = len(wire.requests)
    (replayed,) = deck.run("replay", body)
    assert len(wire.requests) == count
    assert [span.replayed for span in before] == [False] * len(before)
    assert [span.replayed for span in deck.spans] == [True] * len(before)
    for old, new in zip(sorted(before, key=_input), sorted(deck.spans, key=_input), strict=True):
        same = {"input", "output", "usage", "error", "model", "cost_usd"}
        assert new.model_dump(include=same) == old.model_dump(include=same)
        assert [a.status for a in new.attempts] == [a.status for a in old.attempts]
    return recorded, replayed


@LIBRARIES
def test_plain(deck: Deck, wire: Wire, library: Any) -> None:
    headers = {"content-type": "application/json", "request-id": "req_1", "set-cookie": "a=b"}
    wire.raw(wire.answer(200, (json.dumps(wire.message("Grüße")).encode(),), headers))

    def body() -> Any:
        with library.Client(verify=False) as client:
            response = client.post(f"{wire.url}/v1/messages", json=ASK)
        assert isinstance(response, library.Response)
        assert response.is_closed
        assert response.elapsed.total_seconds() > 0
        assert "".join(response.iter_text()) == response.text
        assert str(response.request.url) == f"{wire.url}/v1/messages"
        assert response.raise_for_status() is response
        return response.json(), response.headers["request-id"]

    recorded, replayed = twice(deck, wire, body)
    assert recorded == replayed == (wire.message("Grüße"), "req_1")
    assert "Grüße" in deck.text
    assert "set-cookie" not in deck.text


@LIBRARIES
def test_async(deck: Deck, wire: Wire, library: Any) -> None:
    wire.json(wire.message("one"))
    wire.sse(*wire.message_events("two", " three"))

    async def calls() -> Any:
        async with library.AsyncClient(verify=False) as client:
            plain = await client.post(f"{wire.url}/v1/messages", json=ASK)
            async with client.stream("POST", f"{wire.url}/v1/messages", json=ASK) as response:
                lines = [line async for line in response.aiter_lines() if "text_delta" in line]
        return plain.json()["content"][0]["text"], len(lines)

    recorded, replayed = twice(deck, wire, lambda: asyncio.run(calls()))
    assert recorded == replayed == ("one", 2)


@LIBRARIES
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_stream_comes_in_its_chunks(deck: Deck, wire: Wire, library: Any, encoding: str) -> None:
    events = wire.message_events("Grüße", " aus 東京", "\u2028🙂")
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    wire.sse(*(packed if encoding else events), pause_s=0.002, encoding=encoding)

    def body() -> list[bytes]:
        with library.stream("POST", f"{wire.url}/v1/messages", json=ASK, verify=False) as response:
            return [*response.iter_bytes()]

    recorded, replayed = twice(deck, wire, body)
    assert len(replayed) == len(recorded) == 9
    assert [_data(chunk) for chunk in replayed] == [_data(chunk) for chunk in recorded]
    assert deck.spans[0].text == "Grüße aus 東京\u2028🙂"
    (exchange,) = deck.exchanges
    assert exchange["response"]["reads"] == ["Grüße aus 東京\u2028🙂"]
    assert len(exchange["arrival_ms"]) == 9
    assert deck.spans[0].metadata["time_to_first_token_ms"] == pytest.approx(
        exchange["arrival_ms"][3], abs=0.01
    )


def test_a_stream_that_is_now_read_at_once(deck: Deck, wire: Wire) -> None:
    wire.sse(*wire.message_events("a", "b"), pause_s=0.01)

    def streamed() -> bytes:
        with httpx.stream("POST", f"{wire.url}/v1/messages", json=ASK, verify=False) as response:
            return response.read()

    def whole() -> bytes:
        return httpx.post(f"{wire.url}/v1/messages", json=ASK, verify=False).content

    (recorded,) = deck.run("new", streamed)
    latency = deck.spans[0].latency_ms
    (replayed,) = deck.run("replay", whole)
    assert replayed.count(b"\n\n") == recorded.count(b"\n\n")
    assert deck.spans[0].text == "ab"
    assert deck.spans[0].latency_ms == pytest.approx(latency, abs=0.06)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_chunks_that_end_anywhere(deck: Deck, wire: Wire, size: int) -> None:
    whole = b"".join(wire.message_events("Grüße aus 東京"))
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    wire.sse(*pieces)

    def body() -> list[bytes]:
        with httpx.stream("POST", f"{wire.url}/v1/messages", json=ASK, verify=False) as response:
            return list(response.iter_raw())

    recorded, replayed = twice(deck, wire, body)
    assert replayed == recorded
    assert b"".join(replayed) == whole


def test_a_stream_of_the_sdk_stopped_early(deck: Deck, wire: Wire, sdk: anthropic.Anthropic) -> None:
    wire.sse(*wire.message_events("a", "b", "c"), pause_s=0.01)

    def body() -> list[str]:
        texts = []
        with sdk.messages.stream(**ASK) as stream:
            for text in stream.text_stream:
                texts.append(text)
                if len(texts) == 2:
                    break
        return texts

    assert twice(deck, wire, body) == (["a", "b"], ["a", "b"])


def test_openai(deck: Deck, wire: Wire) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    pieces = [
        wire.event(
            None, {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}
        )
        for text in ("Hel", "lo")
    ]
    wire.sse(*pieces, wire.event(None, "[DONE]"))

    def body() -> str:
        with openai.OpenAI(base_url=f"{wire.url}/v1", api_key="dummy") as client:
            stream = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert twice(deck, wire, body) == ("Hello", "Hello")
    assert deck.exchanges[0]["response"]["chunks"][-1] == [{"data": "[DONE]"}]


def test_retries_are_replayed(deck: Deck, wire: Wire, sdk: anthropic.Anthropic) -> None:
    limit = {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many"}}
    wire.json(limit, status=429, **{"retry-after-ms": "1"})
    wire.raw(wire.answer(drop=True))
    wire.json(wire.message("at last"))

    def body() -> str:
        block: Any = sdk.messages.create(**ASK).content[0]
        return str(block.text)

    assert twice(deck, wire, body) == ("at last", "at last")
    (span,) = deck.spans
    assert [(a.status, a.error) for a in span.attempts] == [
        (429, "429 Too Many Requests"),
        (None, "RemoteProtocolError: Server disconnected without sending a response."),
        (200, None),
    ]
    recorded = [exchange["latency_ms"] for exchange in deck.exchanges]
    assert [a.latency_ms for a in span.attempts] == pytest.approx(recorded, abs=0.01)
    assert span.latency_ms is not None
    assert span.latency_ms >= sum(recorded) - 0.1
    before = span.latency_ms
    first = f'"latency_ms": {recorded[0]}'
    deck.path.write_text(deck.text.replace(first, '"latency_ms": 60000', 1), encoding="utf-8")
    deck.run("replay", body)
    assert deck.spans[0].latency_ms == pytest.approx(before + 60000 - recorded[0], abs=30000)


@pytest.mark.parametrize("kind", ["ConnectError", "ReadTimeout"])
@LIBRARIES
def test_errors_of_the_connection(deck: Deck, wire: Wire, library: Any, kind: str) -> None:
    wire.raw(wire.answer())
    if kind == "ConnectError":
        wire.close()
    else:
        wire.gate.clear()

    def body() -> str:
        with (
            library.Client(verify=False, timeout=0.05) as client,
            pytest.raises(library.TransportError) as caught,
        ):
            client.post(f"{wire.url}/v1/messages", json=ASK)
        assert caught.type is getattr(library, kind)
        assert caught.value.request.method == "POST"
        return str(caught.value)

    recorded, replayed = twice(deck, wire, body)
    assert recorded == replayed


def test_a_stream_that_breaks_off(deck: Deck, wire: Wire) -> None:
    events = wire.message_events("a", "b")[:4]

    class Broken(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
            def chunks() -> Iterator[bytes]:
                yield from events
                raise httpx.ReadError("connection lost")

            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=chunks())

    def body() -> tuple[int, str]:
        read: list[bytes] = []
        with (
            httpx.Client(verify=False, transport=Broken()) as client,
            pytest.raises(httpx.ReadError) as caught,
            client.stream("POST", f"{wire.url}/v1/messages", json=ASK) as response,
        ):
            read.extend(response.iter_bytes())
        return len(read), str(caught.value)

    recorded, replayed = twice(deck, wire, body)
    assert recorded == replayed == (4, "connection lost")
    assert deck.spans[0].text == "a"


def test_a_missing_record_passes_an_sdk_and_except_exception(
    deck: Deck, wire: Wire, sdk: anthropic.Anthropic
) -> None:
    def body() -> None:
        with contextlib.suppress(Exception):
            sdk.messages.create(**ASK)

    def outer() -> None:
        with pytest.raises(ReplayError, match=r"no record of this request in test_it\.json: POST http"):
            body()

    deck.run("replay", outer)
    assert wire.requests == []
    (span,) = deck.spans
    assert span.error is not None
    assert span.error.startswith("ReplayError: no record of this request")
    assert len(deck.misses) == 1


@LIBRARIES
def test_a_request_body_that_is_a_stream(deck: Deck, wire: Wire, library: Any) -> None:
    wire.json(wire.message("one"))

    def pieces() -> Iterator[bytes]:
        yield json.dumps(ASK)[:10].encode()
        yield json.dumps(ASK)[10:].encode()

    def body() -> str:
        with library.Client(verify=False) as client:
            answer: str = client.post(f"{wire.url}/v1/messages", content=pieces()).text
        return answer

    twice(deck, wire, body)
    assert wire.requests[0][2] == json.dumps(ASK).encode()
    assert deck.asked == ["Hi"]


def test_other_requests_pass_untouched(deck: Deck, wire: Wire) -> None:
    for mode in ("replay", "new"):
        wire.json({"total": 3})

        def body() -> Any:
            return httpx.post(f"{wire.url}/v1/messages/count_tokens", json=ASK, verify=False).json()

        assert deck.run(mode, body) == [{"total": 3}]
    assert not deck.path.exists()


@LIBRARIES
def test_the_hooks_of_a_client_are_called_once(deck: Deck, wire: Wire, library: Any) -> None:
    wire.json({"error": {"message": "no"}}, status=400)
    seen: list[str] = []

    def fail(response: Any) -> None:
        seen.append(f"{response.status_code}")
        response.raise_for_status()

    def body() -> None:
        hooks = {"request": [lambda request: seen.append(request.method)], "response": [fail]}
        with (
            library.Client(verify=False, event_hooks=hooks) as client,
            pytest.raises(library.HTTPStatusError),
        ):
            client.post(f"{wire.url}/v1/messages", json=ASK)

    async def async_body() -> None:
        async def note(message: Any) -> None:
            seen.append(type(message).__name__)

        hooks = {"request": [note], "response": [note]}
        async with library.AsyncClient(verify=False, event_hooks=hooks) as client:
            await client.post(f"{wire.url}/v1/messages", json=ASK)

    deck.run("new", body)
    deck.run("replay", body)
    deck.run("replay", lambda: asyncio.run(async_body()))
    assert seen == ["POST", "400", "POST", "400", "Request", "Response"]
    assert len(wire.requests) == 1


def test_a_closed_client_says_so(deck: Deck, wire: Wire) -> None:
    client = httpx.Client(verify=False)
    client.close()

    def body() -> None:
        with pytest.raises(RuntimeError, match="the client has been closed"):
            client.post(f"{wire.url}/v1/messages", json=ASK)

    deck.run("replay", body)


def test_threads_and_tasks_use_the_tape_of_their_sample(deck: Deck, wire: Wire) -> None:
    wire.echo = True
    url = f"{wire.url}/v1/messages"

    def one(number: int) -> str:
        request = {**ASK, "messages": [{"role": "user", "content": f"n{number}"}]}
        answer: str = httpx.post(url, json=request, verify=False).json()["content"][0]["text"]
        return answer

    def threads() -> list[str]:
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(one, range(64)))

    async def one_async(client: httpx.AsyncClient, number: int) -> str:
        request = {**ASK, "stream": True, "messages": [{"role": "user", "content": f"t{number}"}]}
        async with client.stream("POST", url, json=request) as response:
            return "".join([text async for text in response.aiter_text()])

    async def tasks() -> list[str]:
        async with httpx.AsyncClient(verify=False, limits=httpx.Limits(max_connections=20)) as client:
            return await asyncio.gather(*(one_async(client, number) for number in range(64)))

    def body() -> tuple[list[str], list[int]]:
        return threads(), [len(text) > 0 for text in asyncio.run(tasks())]

    recorded, replayed = twice(deck, wire, body)
    assert recorded == replayed
    assert recorded[0] == [f"echo n{number}" for number in range(64)]
    assert len(deck.exchanges) == 128
