from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.capture import Redactor, wire
from pytest_kaizen.capture.cassettes.layout import (
    assembled,
    check_body,
    decode_body,
    encode_body,
    encode_stream,
    parse,
    render,
)

KEY = "sk-ant-" + "api03-" + "Ab1_" * 10


def same(value: Any) -> Any:
    return value


def written(value: Any) -> Any:
    """What a value is after it was written to a file and read again."""
    return parse(render(value).encode().decode())


def delta(text: str) -> bytes:
    data = json.dumps(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    )
    return f"event: content_block_delta\ndata: {data}\n\n".encode()


@pytest.mark.parametrize(
    ("body", "described"),
    [
        (b'{"a": [1, 2.5, null]}', {"json": {"a": [1, 2.5, None]}}),
        (b"[1]", {"json": [1]}),
        (b'"a text"', {"text": '"a text"'}),
        (b"<html>", {"text": "<html>"}),
        (b"{broken", {"text": "{broken"}),
        (b"", {"text": ""}),
        (b"\xff\x00", {"text": "\udcff\x00"}),
        (b'{"|": ["looks like lines"]}', {"text": '{"|": ["looks like lines"]}'}),
        (b'{"half": "\\ud83d"}', {"json": {"half": "\ud83d"}}),
    ],
)
def test_bodies(body: bytes, described: dict[str, Any]) -> None:
    assert encode_body(body) == described
    (chunk,) = decode_body(written(described))
    assert json.loads(chunk) == json.loads(body) if "json" in described else chunk == body


@given(st.binary(max_size=200))
def test_any_bytes_come_back(body: bytes) -> None:
    described = encode_body(body)
    if "text" in described:
        assert decode_body(written(described)) == [body]


PIECES = [
    b"event: a",
    b"data: b",
    b'data: {"x": [1]}',
    b"data:",
    b": c",
    b"id: 3",
    b" ",
    "\u2028".encode(),
    b"\xff",
]
ENDS = [b"\n", b"\r\n", b"\r", b"\n\n"]


@given(st.lists(st.lists(st.sampled_from(PIECES + ENDS * 2), min_size=1, max_size=6), max_size=5))
def test_any_stream_comes_back(pieces: list[list[bytes]]) -> None:
    chunks = [b"".join(piece) for piece in pieces]
    again = decode_body(written(encode_stream(chunks, same)))
    assert len(again) == len(chunks)
    assert events(again) == events(chunks)


def events(chunks: list[bytes]) -> list[tuple[str | None, str]]:
    found = wire.events_of(b"".join(chunks))
    return [(event.name, event.data.replace('{"x": [1]}', '{"x":[1]}')) for event in found]


def test_events_stand_one_by_one() -> None:
    chunks = [delta("a") + delta("b"), b": ping\n\n", b"data: [DONE]\n\n", b"event: cut"]
    described = encode_stream(chunks, same)
    event = {"event": "content_block_delta", "data": {"type": "content_block_delta", "index": 0}}
    assert [len(chunk) for chunk in described["chunks"]] == [2, 1, 1, 1]
    assert described["chunks"][0][0]["event"] == event["event"]
    assert described["chunks"][0][0]["data"]["delta"] == {"type": "text_delta", "text": "a"}
    assert described["chunks"][1:] == [[": ping\n\n"], [{"data": "[DONE]"}], ["event: cut"]]
    assert decode_body(written(described)) == [
        chunk.replace(b'": ', b'":').replace(b", ", b",") for chunk in chunks
    ]


def test_line_ends_become_line_feeds() -> None:
    described = encode_stream([b"event: a\r\ndata: b\xe2\x80\xa8c\r\n\r\n"], same)
    assert described == {"chunks": [[{"event": "a", "data": "b\u2028c"}]]}
    assert decode_body(described) == [b"event: a\ndata: b\xe2\x80\xa8c\n\n"]


def test_two_data_lines_stay_text() -> None:
    block = b"data: a\ndata: b\n\n"
    described = encode_stream([block], same)
    assert described == {"chunks": [[block.decode()]]}
    assert decode_body(written(described)) == [block]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_secret_in_pieces_is_taken_out(cut: int) -> None:
    text = f"the key is {KEY} ok"
    pieces = [text[start : start + cut] for start in range(0, len(text), cut)]
    described = encode_stream([delta(piece) for piece in pieces], Redactor({}).data)
    assert assembled(described["chunks"]) == ["the key is [redacted: Anthropic key] ok"]
    assert len(described["chunks"]) == len(pieces)
    assert KEY[-8:] not in render(described)


@pytest.mark.parametrize("size", [3, 50])
def test_a_secret_across_chunks_that_end_anywhere(size: int) -> None:
    whole = delta("a ") + delta(KEY[:9]) + delta(KEY[9:]) + delta(" b")
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    described = encode_stream(chunks, Redactor({}).data)
    assert KEY[-8:] not in render(described)
    assert assembled(described["chunks"]) == ["a [redacted: Anthropic key] b"]
    assert len(described["chunks"]) == 4


def test_a_clean_stream_keeps_its_odd_chunks() -> None:
    whole = delta("a") + delta("b")
    chunks = [whole[:10], whole[10:]]
    described = encode_stream(chunks, Redactor({}).data)
    assert decode_body(written(described)) == chunks


@pytest.mark.parametrize(
    "described",
    [{}, {"jsn": 1}, {"text": 1}, {"chunks": "a"}, {"chunks": [1]}, {"chunks": [[1]]}, {"chunks": None}],
)
def test_what_is_no_body(described: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        check_body(described)
    check_body({"json": None})


def test_texts_are_kept_apart() -> None:
    def event(index: int, **what: str) -> bytes:
        return f"data: {json.dumps({'index': index, 'delta': {'type': 'x', **what}})}\n\n".encode()

    chunks = [event(0, thinking="I th"), event(1, text="Hel"), event(0, thinking="ink"), event(1, text="lo")]
    assert assembled(encode_stream(chunks, same)["chunks"]) == ["I think", "Hello"]
