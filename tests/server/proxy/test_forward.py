"""What passes through the proxy, byte for byte, whatever happens."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from pytest_kaizen.models import Trace
from pytest_kaizen.scripted import ScriptedLLM, ToolCall

from .conftest import ASK, OUR_KEY, PROVIDER_KEY, Provider, Serve

Kept = Callable[[], list[Trace]]
HEADERS = {"x-api-key": PROVIDER_KEY, "x-kaizen-key": OUR_KEY, "anthropic-version": "2023-06-01"}
OWN_TO_A_SERVER = {"date", "server", "connection", "x-request-id", "transfer-encoding"}


def event(kind: str, **data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


START = event(
    "message_start",
    message={"id": "m1", "model": "claude-haiku-4-5", "role": "assistant", "content": [], "usage": {}},
) + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
STOP = event("content_block_stop", index=0) + event("message_stop")


def raw(url: str, body: object, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes, str]:
    """Everything that a client sees of an answer, and how it ended."""
    content = b""
    with httpx.Client() as client, client.stream("POST", url, json=body, headers=headers) as response:
        ended = "whole"
        try:
            for chunk in response.iter_raw():
                content += chunk
        except httpx.RemoteProtocolError:
            ended = "broken off"
    kept = {name: value for name, value in response.headers.items() if name not in OWN_TO_A_SERVER}
    return response.status_code, kept, content, ended


@pytest.mark.parametrize("path", ["/messages", "/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", ["text", "tools", "error", "cut"])
def test_the_bytes_of_a_direct_call(serve: Serve, path: str, stream: bool, what: str) -> None:
    asked = {**ASK, "stream": stream}
    seen = []
    for through in (False, True):
        with ScriptedLLM() as llm, serve(llm.url) as url:
            if what == "error":
                llm.fail(429, message="slow down ☂")
            elif what == "tools":
                llm.reply(tool_calls=[ToolCall("lookup", {"order": 7, "for": "Jürgen"})])
            else:
                llm.reply(chunks=["Grüße ", "☂", " end"], cut_after=3 if what == "cut" and stream else None)
            target = f"{url}/api/v1{path}" if through else f"{llm.url}/v1{path}"
            status, headers, content, ended = raw(target, asked, HEADERS)
        seen.append((status, headers, json_without_time(content), ended))
    assert seen[0] == seen[1]
    assert seen[0][3] == ("broken off" if what == "cut" and stream else "whole")


def json_without_time(content: bytes) -> bytes:
    """OpenAI's answers have a time in them."""
    start = content.find(b'"created":')
    while start >= 0:
        end = content.index(b",", start)
        content = content[:start] + b'"created" ' + content[end:]
        start = content.find(b'"created":')
    return content


def test_what_the_provider_is_sent(provider: tuple[Provider, str], serve: Serve) -> None:
    upstream, place = provider
    body = b'{"model": "x",  "spaces":   "kept", "text": "\\u00e9"}'
    with serve(place) as url, httpx.Client() as client:
        client.post(
            f"{url}/api/v1/messages/?beta=true&x=%2F",
            content=body,
            headers={
                **HEADERS,
                "anthropic-beta": "a,b",
                "X-Kaizen-Other": "ours",
                "Connection": "close, x-hop",
                "x-hop": "1",
                "te": "trailers",
                "user-agent": "mine",
                "accept-encoding": "zstd",
            },
        )
    ((target, headers, content),) = upstream.asked
    assert target == "/v1/messages?beta=true&x=%2F"
    assert content == body
    assert dict(headers) == {
        b"host": place.removeprefix("http://").encode(),
        b"x-api-key": PROVIDER_KEY.encode(),
        b"anthropic-version": b"2023-06-01",
        b"anthropic-beta": b"a,b",
        b"user-agent": b"mine",
        b"accept": b"*/*",
        b"accept-encoding": b"zstd",
        b"content-length": str(len(body)).encode(),
    }


def test_each_piece_comes_when_the_provider_sends_it(
    provider: tuple[Provider, str], serve: Serve, kept: Kept
) -> None:
    upstream, place = provider
    seen = threading.Event()
    upstream.pieces = [START, delta("one "), seen, delta("two"), STOP]
    with (
        serve(place) as url,
        httpx.Client() as client,
        client.stream("POST", f"{url}/api/v1/messages", json=ASK, headers=HEADERS) as response,
    ):
        pieces = response.iter_raw()
        content = b""
        while b"one " not in content:
            content += next(pieces)
        # Only now does the provider go on.
        seen.set()
        content += b"".join(pieces)
    assert content == START + delta("one ") + delta("two") + STOP
    assert kept()[0].output == "one two"


def test_a_client_that_goes_away(provider: tuple[Provider, str], serve: Serve, kept: Kept) -> None:
    upstream, place = provider
    upstream.pieces = [START, delta("so far"), threading.Event()]
    with serve(place) as url, httpx.Client() as client:
        with client.stream("POST", f"{url}/api/v1/messages", json=ASK, headers=HEADERS) as response:
            assert b"message_start" in next(response.iter_raw())
        # Nothing else would end the provider's answer.
        assert upstream.gone.wait(120)
    (trace,) = kept()
    (span,) = trace.spans
    assert (span.text, span.error) == ("so far", None)
    assert span.metadata["complete"] is False
    assert span.metadata["note"] == "the client went away"


def test_a_server_that_is_told_to_stop_lets_an_answer_end(
    provider: tuple[Provider, str], serve: Serve, kept: Kept
) -> None:
    upstream, place = provider
    goes_on = threading.Event()
    upstream.pieces = [START, delta("one "), goes_on, delta("two"), STOP]
    pieces = []
    with httpx.Client() as client, ExitStack() as stack:
        served = ExitStack()
        url = served.enter_context(serve(place))
        response = stack.enter_context(
            client.stream("POST", f"{url}/api/v1/messages", json=ASK, headers=HEADERS)
        )
        chunks = response.iter_raw()
        pieces.append(next(chunks))
        stopping = threading.Thread(target=served.close)
        stopping.start()
        # It takes no new connection any more.
        while is_listening(url):
            time.sleep(0.01)
        goes_on.set()
        pieces += chunks
        stopping.join()
    assert b"".join(pieces) == START + delta("one ") + delta("two") + STOP
    assert kept()[0].output == "one two"


def is_listening(url: str) -> bool:
    try:
        httpx.get(f"{url}/health")
    except httpx.TransportError:
        return False
    return True


def test_an_answer_that_breaks_off(
    provider: tuple[Provider, str], serve: Serve, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    upstream, place = provider
    upstream.pieces = [START, delta("so far")]
    upstream.breaks = True
    with caplog.at_level(logging.WARNING, logger="pytest_kaizen.server"), serve(place) as url:
        answer = raw(f"{url}/api/v1/messages", ASK, HEADERS)
    assert (answer[0], answer[2], answer[3]) == (200, START + delta("so far"), "broken off")
    (span,) = kept()[0].spans
    assert span.text == "so far"
    assert span.error is not None
    assert span.metadata["complete"] is False
    assert "the provider's answer broke off" in caplog.text


def test_a_provider_that_is_not_there(serve: Serve, kept: Kept) -> None:
    with serve("http://127.0.0.1:9") as url:
        answer = httpx.post(f"{url}/api/v1/messages", json=ASK, headers=HEADERS)
    assert answer.status_code == 502
    assert answer.json()["detail"] == "the provider cannot be reached (ClientConnectorError)"
    (trace,) = kept()
    assert trace.error is not None
    assert trace.error.startswith("ClientConnectorError: ")
    assert trace.input == "Hi"


def test_a_compressed_answer_stays_as_it_is(provider: tuple[Provider, str], serve: Serve, kept: Kept) -> None:
    upstream, place = provider
    packed = gzip.compress(START + delta("packed") + STOP)
    upstream.headers = [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")]
    upstream.pieces = [packed[:20], packed[20:]]
    with serve(place) as url:
        status, headers, content, _ = raw(f"{url}/api/v1/messages", ASK, HEADERS)
    assert (status, headers["content-encoding"], content) == (200, "gzip", packed)
    assert kept()[0].output == "packed"


def test_cookies_of_one_client_are_not_sent_for_another(provider: tuple[Provider, str], serve: Serve) -> None:
    upstream, place = provider
    upstream.headers.append((b"set-cookie", b"session=1"))
    with serve(place) as url:
        first = httpx.post(f"{url}/api/v1/messages", json=ASK, headers=HEADERS)
        httpx.post(f"{url}/api/v1/messages", json=ASK, headers=HEADERS)
    assert first.headers["set-cookie"] == "session=1"
    assert [name for _, headers, _ in upstream.asked for name, _ in headers if name == b"cookie"] == []


def test_a_redirect_is_the_clients_to_follow(provider: tuple[Provider, str], serve: Serve) -> None:
    upstream, place = provider
    upstream.status = 307
    upstream.headers = [(b"location", f"{place}/elsewhere".encode())]
    with serve(place) as url:
        answer = httpx.post(f"{url}/api/v1/messages", json=ASK, headers=HEADERS)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{place}/elsewhere")
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_our_key_goes_no_further(provider: tuple[Provider, str], serve: Serve, header: str) -> None:
    upstream, place = provider
    with serve(place) as url:
        answer = httpx.post(
            f"{url}/api/v1/messages", json=ASK, headers={**HEADERS, header: f"Bearer {OUR_KEY}"}
        )
    assert answer.status_code == 400
    assert answer.json()["detail"] == (
        f"the header {header} goes on to the provider and holds this server's key; "
        "put the provider's key there"
    )
    assert upstream.asked == []


def test_a_request_that_is_no_json_is_the_providers_to_refuse(
    provider: tuple[Provider, str], serve: Serve, kept: Kept
) -> None:
    upstream, place = provider
    upstream.status = 400
    upstream.headers = [(b"content-type", b"application/json")]
    upstream.pieces = [b'{"error": {"message": "bad"}}']
    with serve(place) as url:
        answer = httpx.post(f"{url}/api/v1/messages", content=b"\xff\x00 [", headers=HEADERS)
    assert (answer.status_code, answer.content) == (400, b'{"error": {"message": "bad"}}')
    assert kept()[0].error == "400 error: bad"


def test_a_large_request(provider: tuple[Provider, str], serve: Serve) -> None:
    upstream, place = provider
    body = json.dumps({**ASK, "pad": "x" * 3_000_000}).encode()
    with serve(place) as url:
        httpx.post(f"{url}/api/v1/messages", content=body, headers=HEADERS)
    assert upstream.asked[0][2] == body
