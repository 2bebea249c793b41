from __future__ import annotations

import io
import socket

import pytest

from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.scripted.server import BadHttp, HttpRequest, HttpResponse, encode_response, read_request


def _read(data: bytes) -> HttpRequest | None:
    return read_request(io.BytesIO(data), lambda _data: None)


def test_reads_a_request() -> None:
    request = _read(b"POST /v1/messages?beta=true HTTP/1.1\r\nX-One: a\r\ncontent-length: 3\r\n\r\nabcEXTRA")
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/v1/messages", b"abc")
    assert dict(request.headers) == {"x-one": "a", "content-length": "3"}
    assert request.keep_alive


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\nConnection: Close\r\n"])
def test_does_not_keep_alive(head: bytes) -> None:
    request = _read(head + b"\r\n")
    assert request is not None
    assert not request.keep_alive


def test_reads_a_body_in_chunks() -> None:
    request = _read(
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    )
    assert request is not None
    assert request.body == b"abc0123456789"


def test_client_that_waits_for_continue_is_told_to() -> None:
    sent: list[bytes] = []
    source = io.BytesIO(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: 1\r\n\r\na")
    read_request(source, sent.append)
    assert sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_closed_connection_is_none() -> None:
    assert _read(b"") is None


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x16\x03\x01\x02\x00\r\n", "expected a request line"),
        (b"GET / HTTP/2.0\r\n\r\n", "expected a request line"),
        (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", "expected a header"),
        (b"GET / HTTP/1.1\r\n", "expected a header"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 201 + b"\r\n", "more than 200 headers"),
        (b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n", "content-length: expected a number"),
        (b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", "the body ended early"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "expected the size of a chunk"),
    ],
)
def test_refuses_what_is_not_http(data: bytes, complaint: str) -> None:
    with pytest.raises(BadHttp, match=complaint):
        _read(data)


def test_writes_a_whole_body() -> None:
    data = b"".join(encode_response(HttpResponse(529, {"a": "b"}, b"body"), keep_alive=False))
    assert data == b"HTTP/1.1 529 Unknown\r\na: b\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody"


def test_writes_a_body_in_chunks() -> None:
    head, *chunks = encode_response(HttpResponse(200, {}, iter([b"abc", b"0123456789"])), keep_alive=True)
    assert head == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
    assert chunks == [b"3\r\nabc\r\n", b"a\r\n0123456789\r\n", b"0\r\n\r\n"]


def test_server_refuses_nonsense_and_lives_on(llm: ScriptedLLM) -> None:
    port = int(llm.url.rpartition(":")[2])
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"nonsense\r\n")
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"expected a request line" in answer
