"""Server-sent events as they may come over the wire."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.capture import Capture, Recorder, recording, wire
from pytest_kaizen.capture.wire import Exchange

if TYPE_CHECKING:
    from tests.capture.conftest import Wire


def read(wire: Wire, library: Any = httpx, path: str = "/v1/messages") -> None:
    with library.stream("POST", wire.url + path, json={"model": "m", "stream": True}) as response:
        response.read()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_line_ends_and_cuts_within_characters(wire: Wire, recorder: Recorder, end: str, size: int) -> None:
    body = b"".join(wire.message_events("Grüße ", "aus 東京 🙂")).replace(b"\n", end.encode())
    wire.sse(*(body[i : i + size] for i in range(0, len(body), size)))
    read(wire)
    (span,) = recorder.spans
    assert (span.text, span.metadata.get("complete")) == ("Grüße aus 東京 🙂", None)
    assert span.metadata["time_to_first_token_ms"] > 0


def test_fields_of_events() -> None:
    body = (
        b"\xef\xbb\xbfdata: first\n\n"
        b": a comment\nevent:two\nid: 7\nretry: 9\ndata:no space\ndata:  two spaces\ndata\n\n"
        b"event: without data\n\n"
        b"data: cut sho"
    )
    assert [(event.name, event.data) for event in wire.events_of(body)] == [
        (None, "first"),
        ("two", "no space\n two spaces\n"),
        (None, "cut sho"),
    ]
    assert next(body[: event.end][-6:] for event in wire.events_of(body)) == b"irst\n\n"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_data_comes_through_whole(texts: list[str], end: str) -> None:
    body = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    assert [event.data for event in wire.events_of(body)] == texts


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_times(wire: Wire, recorder: Recorder, library: Any, encoding: str) -> None:
    events = wire.message_events("a", "b")
    if encoding:
        packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        events = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]

    class Paced(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for event in events:
                time.sleep(0.01)
                yield event
            time.sleep(0.2)

    def respond(_request: Any) -> Any:
        headers = {"content-type": "text/event-stream", "content-encoding": encoding}
        return library.Response(200, headers=headers, stream=Paced())

    with library.Client(transport=library.MockTransport(respond)) as client:
        # Before the recorder begins: whatever holds the machine up counts for both.
        start = time.perf_counter()
        with client.stream("POST", "http://x/v1/messages", json={"model": "m"}) as response:
            response.read()
        total = (time.perf_counter() - start) * 1000
    (span,) = recorder.spans
    assert span.text == "ab"
    assert span.latency_ms is not None
    # Four events to the first token, four more to the end event; what follows does not count.
    first = span.metadata["time_to_first_token_ms"]
    assert first >= 40
    assert span.latency_ms - first >= 40
    assert total >= 280
    assert span.latency_ms < total - 150


def test_chunks_that_decompress_to_nothing() -> None:
    packer = zlib.compressobj(wbits=31)
    head, rest = packer.compress(b""), packer.compress(b"data: x\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    end = packer.compress(b"more") + packer.flush()
    exchange = Exchange(datetime.now(UTC), 0.0, library=httpx, encoding="gzip")
    exchange.chunks = [head, rest, b"", end]
    exchange.times = [1.0, 2.0, 3.0, 4.0]
    body, ends = exchange.body()
    assert (body, ends) == (b"data: x\n\nmore", [0, 9, 9, 13])
    assert [exchange.arrival(end, ends) for end in (1, 9, 10, 99)] == [2.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_reader_that_stops_closes_the_source_at_once(recorded: bool, capture: Capture) -> None:
    closed: list[str] = []

    class Source(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                yield b"one"
                yield b"two"
            finally:
                closed.append("iterator")

        async def aclose(self) -> None:
            closed.append("stream")

    async def main() -> None:
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Source()))
        async with httpx2.AsyncClient(transport=transport) as client:
            request = client.build_request("POST", "http://x/v1/messages", json={})
            response = await client.send(request, stream=True)
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"one"
            await chunks.aclose()
            assert closed == ["iterator", "stream"]

    with recording(Recorder()) if recorded else nullcontext():
        anyio.run(main)
    assert capture is not None


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_compressed_stream_that_is_cut_short(wire: Wire, recorder: Recorder, library: Any) -> None:
    packer = zlib.compressobj(wbits=31)
    events = wire.message_events("One ", "two")
    chunks = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    wire.sse(*chunks, pause_s=0.02, encoding="gzip")
    with library.stream("POST", f"{wire.url}/v1/messages", json={"model": "m"}) as response:
        for piece in response.iter_bytes():
            if b"One " in piece:
                break
    (span,) = recorder.spans
    assert (span.text, span.metadata["complete"], span.error) == ("One ", False, None)


@pytest.mark.parametrize("encoding", ["gzip", "unheard-of"])
def test_a_body_that_is_not_what_its_encoding_says(wire: Wire, recorder: Recorder, encoding: str) -> None:
    wire.sse(b"this is not ", b"compressed", encoding=encoding)
    with httpx.stream("POST", f"{wire.url}/v1/messages", json={"model": "m"}) as response:
        assert b"".join(response.iter_raw()) == b"this is not compressed"
    (span,) = recorder.spans
    assert (span.text, span.metadata["complete"], span.model) == ("", False, "m")


def test_a_stream_read_in_one_go(wire: Wire, recorder: Recorder) -> None:
    body = gzip.compress(b"".join(wire.message_events("All ", "at once")))
    wire.sse(body, encoding="gzip")
    httpx.post(f"{wire.url}/v1/messages", json={"model": "m", "stream": True})
    (span,) = recorder.spans
    assert (span.text, span.metadata["stream"]) == ("All at once", True)
    assert "time_to_first_token_ms" not in span.metadata


def test_a_stream_under_another_content_type(wire: Wire, recorder: Recorder) -> None:
    wire.raw(wire.answer(200, tuple(wire.message_events("Odd")), {"content-type": "text/plain"}))
    read(wire)
    assert recorder.spans[0].text == "Odd"


def test_without_the_end_event_a_stream_is_not_complete(wire: Wire, recorder: Recorder) -> None:
    wire.sse(*wire.message_events("No ", "end")[:-1])
    read(wire)
    (span,) = recorder.spans
    assert (span.text, span.metadata["complete"]) == ("No end", False)


def test_several_choices_in_one_stream(wire: Wire, recorder: Recorder) -> None:
    def chunk(index: int, text: str) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": None}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    wire.sse(chunk(1, "b"), chunk(0, "a"), chunk(1, "B"), chunk(0, "A"), b"data: [DONE]\n\n")
    read(wire, path="/chat/completions")
    (span,) = recorder.spans
    assert [message.text for message in span.output] == ["aA", "bB"]


@pytest.mark.parametrize(
    "junk",
    [
        b"data: {\n\n",
        b"data: 7\n\n",
        b'data: {"type": "content_block_delta", "index": "x", "delta": 5}\n\n',
        b'data: {"type": "message_start", "message": []}\n\n',
        b'data: {"type": "message_delta", "delta": null, "usage": "many"}\n\n',
        b"\xff\xfe\x00\n\n",
    ],
)
def test_junk_between_events_is_skipped(wire: Wire, recorder: Recorder, junk: bytes) -> None:
    events = wire.message_events("Still ", "here")
    wire.sse(*events[:4], junk, *events[4:])
    read(wire)
    assert recorder.spans[0].metadata.get("complete") is None
    assert recorder.spans[0].text in ("Still here", "here")


def test_an_item_that_is_done_is_not_read_twice(wire: Wire, recorder: Recorder) -> None:
    place = {"output_index": 0, "content_index": 0}
    done = {"type": "message", "content": [{"type": "output_text", "text": "Said."}]}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
        {"type": "response.output_text.delta", **place, "delta": "Said."},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a": '},
        {"type": "response.reasoning_summary_text.delta", "output_index": 2, "delta": "Hm."},
    ]
    wire.sse(*(wire.event(event["type"], event) for event in events))
    read(wire, path="/v1/responses")
    (span,) = recorder.spans
    assert span.metadata["complete"] is False
    assert [part.model_dump(exclude_none=True) for part in span.output[0].parts] == [
        {"type": "text", "content": "Said."},
        {"type": "tool_call", "arguments": '{"a": '},
        {"type": "reasoning", "content": "Hm."},
    ]
