"""Bodies that nobody expects: capture reads what it can, and the user's code notices nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.capture import Capture, Recorder, recording
from pytest_kaizen.capture.parsers import PARSERS
from pytest_kaizen.config import DEFAULT_ENDPOINTS
from pytest_kaizen.models import Message, Usage

if TYPE_CHECKING:
    from tests.capture.conftest import Wire

PATHS = {
    "anthropic.messages": "/v1/messages",
    "openai.chat": "/chat/completions",
    "openai.responses": "/v1/responses",
}
KEYS = st.sampled_from(
    ["model", "messages", "role", "content", "type", "text", "system", "input", "output", "choices",
     "message", "delta", "usage", "index", "tool_calls", "function", "arguments", "name", "id", "source",
     "data", "url", "image_url", "input_tokens", "error", "thinking", "item", "response", "audio"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["tool_use", "tool_result", "image", "text", "message", "function_call", "user"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@pytest.mark.parametrize("api", sorted(PARSERS))
@given(body=st.dictionaries(KEYS, JSON, max_size=8))
def test_parsers_take_any_json(api: str, body: dict[str, Any]) -> None:
    request = PARSERS[api].request(body)
    reply = PARSERS[api].response(body)
    for message in [*request.messages, *reply.messages]:
        Message.model_validate(message)
    Usage.model_validate(reply.usage)
    stream = PARSERS[api].stream()
    stream.add(None, json.dumps(body))
    PARSERS[api].response(stream.body())


def exchange(api: str, content: bytes, answer: bytes, content_type: str = "application/json") -> Recorder:
    def respond(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=answer, headers={"content-type": content_type})

    capture = Capture(DEFAULT_ENDPOINTS, price=lambda *_: None)
    capture.install()
    try:
        with recording(Recorder()) as recorder:
            with httpx.Client(transport=httpx.MockTransport(respond)) as client:
                assert client.post("http://x" + PATHS[api], content=content).content == answer
            return recorder
    finally:
        capture.uninstall()


@pytest.mark.parametrize("api", sorted(PARSERS))
@given(content=st.binary(max_size=60), answer=st.binary(max_size=60))
def test_any_bytes_make_one_span(api: str, content: bytes, answer: bytes) -> None:
    (span,) = exchange(api, content, answer).spans
    assert span.metadata["status"] == 200
    assert (span.input, span.output, span.usage) == ([], [], Usage())


@pytest.mark.parametrize(
    ("content", "answer", "content_type", "note"),
    [
        (b"{}", b"<html>", "text/html", "the response is not a JSON object (text/html, 6 bytes)"),
        (b"{}", b"[1]", "application/json", "the response is not a JSON object (application/json, 3 bytes)"),
        (b"{}", b"{", "", "the response is not a JSON object (no content type, 1 bytes)"),
        (b"\xff", b"{}", "application/json", "the request's body is not a JSON object"),
        (b"[" * 100_000, b"{}", "application/json", "the request's body is not a JSON object"),
    ],
)
def test_notes(content: bytes, answer: bytes, content_type: str, note: str) -> None:
    (span,) = exchange("anthropic.messages", content, answer, content_type).spans
    assert span.metadata["note"] == note


def test_half_a_surrogate_pair(recorder: Recorder) -> None:
    content = b'{"model": "m", "messages": [{"role": "user", "content": "a\\ud83d b"}], "x": "\\ude00"}'
    (span,) = exchange("anthropic.messages", content, b"{}").spans
    assert span.input[0].text == "a\ufffd b"
    assert span.metadata["request"] == {"x": "\ufffd"}
    assert json.loads(span.model_dump_json())["input"][0]["parts"][0]["content"] == "a\ufffd b"
    assert recorder.spans == []


def test_a_lone_surrogate_where_only_the_metadata_has_it() -> None:
    (span,) = exchange("anthropic.messages", b'{"model": "m", "x": "\\ude00"}', b"{}").spans
    assert json.loads(span.model_dump_json())["metadata"]["request"] == {"x": "\ufffd"}


def test_missing_usage_has_no_cost(wire: Wire, recorder: Recorder) -> None:
    wire.json(wire.message("Hi", usage=None))
    wire.json(wire.message("Hi", usage={"input_tokens": True, "output_tokens": "many"}))
    wire.json(wire.message("Hi", model="unpriced"))
    for _ in range(3):
        httpx.post(f"{wire.url}/v1/messages", json={"model": "m"})
    assert [span.usage for span in recorder.spans[:2]] == [Usage(), Usage()]
    assert [span.cost_usd for span in recorder.spans] == [None, None, None]


def test_a_price_that_raises_is_no_price() -> None:
    def broken(_model: str, _usage: Usage) -> float:
        raise ZeroDivisionError

    answer = {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    capture = Capture(DEFAULT_ENDPOINTS, price=broken)
    capture.install()
    try:
        with recording(Recorder()) as recorder, httpx.Client(transport=transport) as client:
            client.post("http://x/v1/messages", json={"model": "m"})
    finally:
        capture.uninstall()
    (span,) = recorder.spans
    assert (span.usage.input_tokens, span.cost_usd) == (1, None)


def test_huge_bodies(recorder: Recorder, wire: Wire) -> None:
    text = "long " * 1_000_000
    wire.json(wire.message(text))
    httpx.post(f"{wire.url}/v1/messages", json={"messages": [{"role": "user", "content": text}]})
    (span,) = recorder.spans
    assert span.text == span.input[0].text == text
