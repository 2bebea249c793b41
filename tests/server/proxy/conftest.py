"""Providers for the proxy to ask: one that follows a script, and one that a test makes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from pytest_kaizen.models import Trace
from pytest_kaizen.scripted import ScriptedLLM
from tests.server.conftest import Book, Live, MakeSite

OUR_KEY = "kz_" + "a" * 43
PROVIDER_KEY = "sk-ant-" + "b" * 40

Serve = Callable[[str], AbstractContextManager[str]]


@pytest.fixture
def llm() -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        yield server


@pytest.fixture
def serve(make_site: MakeSite, book: Book, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A server whose proxy asks a provider; when it has stopped, all traces are kept."""
    with monkeypatch.context() as patch:
        patch.setattr("secrets.token_urlsafe", lambda _size: "a" * 43)
        book.add("proxy", "ours", "write")

    @contextmanager
    def served(upstream: str, **settings: object) -> Iterator[str]:
        site = make_site(anthropic_url=upstream, openai_url=f"{upstream}/v1", **settings)
        with Live(site.app) as live:
            yield live.url

    return served


class Provider:
    """Answers as a test says, and takes note of what it was asked.

    Attributes:
        pieces: The answer's body; an ``Event`` among them is waited for.
        gone: Set when the client went away before the end.
    """

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/event-stream")]
        self.pieces: list[bytes | threading.Event] = []
        self.breaks = False
        self.asked: list[tuple[str, list[tuple[bytes, bytes]], bytes]] = []
        self.gone = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.asked.append((target, list(scope["headers"]), body))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        watch = asyncio.ensure_future(self._watch(receive))
        for piece in self.pieces:
            if isinstance(piece, bytes):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                continue
            while not piece.is_set() and not self.gone.is_set():  # noqa: ASYNC110 - set by a thread
                await asyncio.sleep(0.005)
        if not self.breaks:
            await send({"type": "http.response.body", "body": b""})
        watch.cancel()

    async def _watch(self, receive: Receive) -> None:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            self.gone.set()


@pytest.fixture
def provider() -> Iterator[tuple[Provider, str]]:
    made = Provider()
    with Live(made) as live:
        yield made, live.url


@pytest.fixture
def kept(book: Book) -> Callable[[], list[Trace]]:
    return book.store("ours").traces


ASK: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hi"}],
}
