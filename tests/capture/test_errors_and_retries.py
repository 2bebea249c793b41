"""Calls that fail, and calls that are tried again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest

if TYPE_CHECKING:
    from pytest_kaizen.capture import Recorder
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {
    "model": "claude-asked",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hi"}],
}
RATE_LIMIT = {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many"}}


CLIENTS: list[anthropic.Anthropic | openai.OpenAI] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def make(wire: Wire, retries: int = 2) -> anthropic.Anthropic:
    client = anthropic.Anthropic(base_url=wire.url, api_key="dummy", max_retries=retries)
    CLIENTS.append(client)
    return client


def fails(wire: Wire, times: int) -> None:
    for _ in range(times):
        wire.json(RATE_LIMIT, status=429, **{"retry-after-ms": "1"})


def test_status_error(wire: Wire, recorder: Recorder) -> None:
    fails(wire, 1)
    with pytest.raises(anthropic.RateLimitError):
        make(wire, retries=0).messages.create(**ASK)
    (span,) = recorder.spans
    assert span.error == "429 rate_limit_error: Too many"
    assert (span.model, span.output, span.metadata["status"]) == ("claude-asked", [], 429)
    assert [(a.status, a.error) for a in span.attempts] == [(429, "429 rate_limit_error: Too many")]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            b'{"error": {"message": "Bad", "type": "invalid_request_error"}}',
            "invalid_request_error: Bad",
        ),
        (404, b'{"error": {"message": "No model", "type": null, "code": "gone"}}', "gone: No model"),
        (502, b"<html>\n  Bad   gateway</html>", "Bad Gateway: <html> Bad gateway</html>"),
        (503, b"", "Service Unavailable"),
        (500, b'{"error": "broke"}', "broke"),
        (500, b"\xff\xfe\x00", "Internal Server Error: \ufffd\ufffd\x00"),
    ],
)
def test_error_bodies(wire: Wire, recorder: Recorder, status: int, body: bytes, expected: str) -> None:
    wire.raw(wire.answer(status, (body,) if body else ()))
    answer = httpx.post(f"{wire.url}/v1/messages", json=ASK)
    assert answer.content == body
    assert recorder.spans[0].error == f"{status} {expected}"


def test_long_error_pages_are_cut(wire: Wire, recorder: Recorder) -> None:
    wire.raw(wire.answer(500, (b"x" * 1_000_000,)))
    httpx.post(f"{wire.url}/v1/messages", json=ASK)
    error = recorder.spans[0].error
    assert error is not None
    assert len(error) == 500


def test_retries_are_attempts_of_one_span(wire: Wire, recorder: Recorder) -> None:
    fails(wire, 2)
    wire.json(wire.message("At last"))
    make(wire).messages.create(**ASK)
    (span,) = recorder.spans
    assert (span.text, span.error) == ("At last", None)
    assert [attempt.status for attempt in span.attempts] == [429, 429, 200]
    assert [attempt.error for attempt in span.attempts] == ["429 Too Many Requests"] * 2 + [None]
    assert span.latency_ms is not None
    assert span.latency_ms >= sum(attempt.latency_ms or 0 for attempt in span.attempts)
    assert span.started_at == span.attempts[0].started_at


def test_streamed_retries_and_exhausted_retries(wire: Wire, recorder: Recorder) -> None:
    fails(wire, 1)
    wire.sse(*wire.message_events("Stre", "amed"))
    with make(wire).messages.stream(**ASK) as stream:
        stream.until_done()
    fails(wire, 3)
    with pytest.raises(anthropic.RateLimitError):
        make(wire).messages.create(**ASK, stream=True)
    streamed, exhausted = recorder.spans
    assert (streamed.text, len(streamed.attempts)) == ("Streamed", 2)
    assert exhausted.error == "429 rate_limit_error: Too many"
    assert [attempt.status for attempt in exhausted.attempts] == [429, 429, 429]


def test_openai_retries(wire: Wire, recorder: Recorder) -> None:
    client = openai.OpenAI(base_url=wire.url, api_key="dummy", max_retries=1)
    CLIENTS.append(client)
    wire.json({"error": {"message": "m", "type": "t"}}, status=500, **{"retry-after-ms": "1"})
    wire.json({"model": "g", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]})
    client.chat.completions.create(model="g", messages=[{"role": "user", "content": "x"}])
    (span,) = recorder.spans
    assert (span.text, [attempt.status for attempt in span.attempts]) == ("Hi", [500, 200])


def test_dropped_connection_is_retried(wire: Wire, recorder: Recorder) -> None:
    wire.raw(wire.answer(drop=True))
    wire.json(wire.message("Back"))
    make(wire).messages.create(**ASK)
    (span,) = recorder.spans
    assert span.text == "Back"
    first, second = span.attempts
    assert (first.status, second.status) == (None, 200)
    assert first.error is not None
    assert first.error.startswith("RemoteProtocolError: ")


def test_another_request_is_no_retry(wire: Wire, recorder: Recorder) -> None:
    def ask(client: httpx.Client, query: str, text: str, count: str) -> None:
        wire.json(RATE_LIMIT, status=429)
        body = {"messages": [{"role": "user", "content": text}]}
        url = f"{wire.url}/v1/messages?{query}"
        client.post(url, json=body, headers={"x-stainless-retry-count": count})

    with httpx.Client() as first, httpx.Client() as second:
        ask(first, "a", "x", "0")
        ask(first, "a", "x", "1")
        ask(first, "b", "x", "2")
        ask(first, "b", "y", "3")
        ask(second, "b", "y", "4")
        ask(second, "b", "y", "0")
    assert [len(span.attempts) for span in recorder.spans] == [2, 1, 1, 1, 1]


def test_own_retry_loop_makes_spans_of_its_own(wire: Wire, recorder: Recorder) -> None:
    fails(wire, 1)
    wire.json(wire.message("Again"))
    client = make(wire, retries=0)
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(**ASK)
    client.messages.create(**ASK)
    assert [(span.text, len(span.attempts)) for span in recorder.spans] == [("", 1), ("Again", 1)]


def test_equal_calls_at_the_same_time_keep_their_own_attempts(wire: Wire, recorder: Recorder) -> None:
    client = anthropic.AsyncAnthropic(base_url=wire.url, api_key="dummy", max_retries=2)
    fails(wire, 4)
    for _ in range(4):
        wire.json(wire.message("Same"))

    async def main() -> None:
        await asyncio.gather(*(client.messages.create(**ASK) for _ in range(4)))
        await client.close()

    asyncio.run(main())
    assert [span.text for span in recorder.spans] == ["Same"] * 4
    assert sum(len(span.attempts) for span in recorder.spans) == len(wire.requests) == 8
    assert all(span.attempts[-1].status == 200 for span in recorder.spans)


def test_refused_connection(recorder: Recorder) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1/messages"
    with pytest.raises(httpx.ConnectError) as caught:
        httpx.post(url, json=ASK)
    (span,) = recorder.spans
    assert span.error == f"ConnectError: {caught.value}"
    assert (span.model, span.metadata.get("status"), span.cost_usd) == ("claude-asked", None, None)
    assert span.attempts[0].status is None


def test_timeouts(wire: Wire, recorder: Recorder) -> None:
    wire.default = wire.answer(200, tuple(wire.message_events("Slow", "ly")), pause_s=5.0)
    wire.gate.clear()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{wire.url}/v1/messages", json=ASK, timeout=0.05)
    wire.gate.set()
    with httpx.stream("POST", f"{wire.url}/v1/messages", json=ASK, timeout=60) as response:
        # Its head could be as late as it liked.
        response.request.extensions["timeout"]["read"] = 0.05
        with pytest.raises(httpx.ReadTimeout):
            response.read()
    before, amid = recorder.spans
    assert before.error == "ReadTimeout: timed out"
    assert before.latency_ms is not None
    assert before.latency_ms >= 50
    assert (amid.error, amid.metadata["complete"]) == ("ReadTimeout: timed out", False)


def test_cancelled_call(wire: Wire, recorder: Recorder) -> None:
    wire.raw(wire.answer(200, (b"{}",)))
    wire.gate.clear()

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            call = asyncio.create_task(client.post(f"{wire.url}/v1/messages", json=ASK))
            while not wire.requests:  # noqa: ASYNC110 - a thread adds them
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())
    assert recorder.spans[0].error == "CancelledError"


def test_error_event_in_a_stream(wire: Wire, recorder: Recorder) -> None:
    events = wire.message_events("Par", "tial")
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    wire.sse(*events[:4], wire.event("error", error))
    with pytest.raises(anthropic.APIStatusError):
        list(make(wire).messages.create(**ASK, stream=True))
    (span,) = recorder.spans
    assert (span.text, span.error) == ("Par", "overloaded_error: Overloaded")
    assert span.metadata["complete"] is False
    assert span.attempts[0].error == "overloaded_error: Overloaded"


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/chat/completions", {"error": {"type": "server_error", "message": "broke"}}),
        ("/v1/responses", {"type": "error", "code": "server_error", "message": "broke"}),
        (
            "/v1/responses",
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "broke"}}},
        ),
    ],
)
def test_error_events_of_openai(wire: Wire, recorder: Recorder, path: str, event: dict[str, Any]) -> None:
    wire.sse(wire.event(None, event))
    httpx.post(wire.url + path, json={"model": "g", "stream": True})
    assert recorder.spans[0].error == "server_error: broke"
