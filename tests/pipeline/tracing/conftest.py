from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.capture import Capture
from pytest_kaizen.config import DEFAULT_ENDPOINTS
from pytest_kaizen.models import Run, Trace, Usage
from pytest_kaizen.pipeline import CasePlan, LiveSample, current
from pytest_kaizen.pipeline.tracing.process import close_process
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.store import Store

SERVER_ID = "9e8d7c6b-0000-4000-8000-000000000005"


def price(model: str, usage: Usage) -> float | None:
    return (usage.input_tokens or 0) / 1000 if model != "unpriced" else None


@pytest.fixture
def llm() -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        server.reply("Hello!")
        yield server


@pytest.fixture
def live() -> Iterator[LiveSample]:
    """A recorded test's sample, as the plugin makes it current."""
    capture = Capture(DEFAULT_ENDPOINTS, price=price)
    capture.install()
    with current(LiveSample(CasePlan(case_id="test_it", name="test_it"), "run")) as sample:
        yield sample
    capture.uninstall()


class Outside:
    """A process outside pytest that works in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def end(self) -> None:
        close_process()

    def traces(self) -> list[Trace]:
        with Store.open(self.path / ".kaizen/kaizen.db", readonly=True) as store:
            return store.traces()

    def runs(self) -> list[Run]:
        with Store.open(self.path / ".kaizen/kaizen.db", readonly=True) as store:
            return store.runs()

    @property
    def trace(self) -> Trace:
        (trace,) = self.traces()
        return trace


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    monkeypatch.chdir(tmp_path)
    for name in ("PYTEST_VERSION", "KAIZEN_API_KEY", "KAIZEN_BASE_URL", "KAIZEN_STORE"):
        monkeypatch.delenv(name, raising=False)
    close_process()
    yield Outside(tmp_path)
    close_process()


class CTServer:
    """Takes traces and scores as a Kaizen CT server does, or refuses them."""

    def __init__(self) -> None:
        self.status = 201
        self.seen: list[tuple[str, str | None, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.seen.append((self.path, self.headers["x-api-key"], body))
                answer = {"id": SERVER_ID, "task_id": SERVER_ID, "created_at": "2026-03-30T10:00:00Z"}
                content = json.dumps(answer if server.status < 400 else {"detail": "no"}).encode()
                self.send_response(server.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def ct() -> Iterator[CTServer]:
    server = CTServer()
    yield server
    server.close()


@pytest.fixture
def chat() -> Callable[..., dict[str, Any]]:
    """What a function answers in the shape of Chat Completions."""

    def answer(text: str, model: str = "m-1") -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 7, "completion_tokens": 2}
        return {"id": "c1", "model": model, "choices": [{"message": message}], "usage": usage}

    return answer
