from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_kaizen.capture import Capture, Recorder, recording
from pytest_kaizen.config import DEFAULT_ENDPOINTS
from pytest_kaizen.models import Usage


@dataclass
class Answer:
    """What the wire server sends: raw bytes, in the chunks given."""

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    delay_s: float = 0.0
    pause_s: float = 0.0
    drop: bool = False


def message_body(text: str, **more: Any) -> dict[str, Any]:
    """An answer of the Messages API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def event(name: str | None, data: Any) -> bytes:
    payload = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {payload}\n\n".encode()


def message_events(*pieces: str) -> list[bytes]:
    """The same answer, streamed in pieces."""
    start = message_body("", content=[], stop_reason=None, usage={"input_tokens": 10, "output_tokens": 1})
    deltas: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return [event(delta["type"], delta) for delta in deltas]


def echo(body: bytes) -> Answer:
    """Answer with the text asked, streamed where that was asked for."""
    asked = json.loads(body)
    text = "echo " + asked["messages"][-1]["content"]
    if asked.get("stream"):
        middle = len(text) // 2
        chunks = message_events(text[:middle], text[middle:])
        return Answer(200, tuple(chunks), {"content-type": "text/event-stream"})
    return Answer(200, (json.dumps(message_body(text)).encode(),))


class Wire:
    """A local HTTP server that answers from a script and remembers what it was asked."""

    answer = Answer
    message = staticmethod(message_body)
    message_events = staticmethod(message_events)
    event = staticmethod(event)

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.default: Answer | None = None
        self.echo = False
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                if self.headers.get("transfer-encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("content-length", 0)))
                wire.requests.append((self.path, dict(self.headers.items()), body))
                wire._send(self, body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def json(self, body: Any, status: int = 200, **headers: str) -> None:
        self.answers.append(
            Answer(status, (json.dumps(body).encode(),), {"content-type": "application/json", **headers})
        )

    def sse(self, *chunks: bytes, pause_s: float = 0.0, encoding: str = "") -> None:
        headers = {"content-type": "text/event-stream"}
        if encoding:
            headers["content-encoding"] = encoding
        self.answers.append(Answer(200, chunks, headers, pause_s=pause_s))

    def raw(self, answer: Answer) -> None:
        self.answers.append(answer)

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        answer = echo(body) if self.echo else self.answers.pop(0) if self.answers else self.default
        assert answer is not None, "the script has no answer left"
        self.gate.wait(60)
        time.sleep(answer.delay_s)
        if answer.drop:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        try:
            for chunk in answer.chunks:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                handler.wfile.flush()
                time.sleep(answer.pause_s)
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


def price(model: str, usage: Usage) -> float | None:
    if model == "unpriced" or usage.input_tokens is None:
        return None
    return usage.input_tokens / 1_000_000


@pytest.fixture
def capture() -> Iterator[Capture]:
    installed = Capture(DEFAULT_ENDPOINTS, price=price)
    installed.install()
    yield installed
    installed.uninstall()


@pytest.fixture
def recorder(capture: Capture) -> Iterator[Recorder]:  # noqa: ARG001 - installs it
    with recording(Recorder()) as current:
        yield current
