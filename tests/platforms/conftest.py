"""A server on a loopback socket that answers as badly as it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

Behaviour = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


class Loopback:
    """Answers one request after another, each on a connection of its own, by the next behaviour.

    Attributes:
        received: The requests, in order.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._behaviours: list[Behaviour] = []
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def then(self, *behaviours: Behaviour) -> None:
        self._behaviours += behaviours

    def answer(
        self, status: int, body: str = "", content_type: str = "application/json", **headers: str
    ) -> None:
        """Answer as a server should."""
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body.encode())}", "Connection: close"]
        lines += [f"Content-Type: {content_type}"] if content_type else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.then(lambda peer: peer.sendall("\r\n".join([*lines, "", body]).encode()))

    def send(self, raw: bytes) -> None:
        """Send these bytes and hang up."""
        self.then(lambda peer: peer.sendall(raw))

    def silence(self) -> None:
        """Take the request and say nothing."""

        def silent(_: socket.socket) -> None:
            self._over.wait(30)

        self.then(silent)

    def drip(self, raw: bytes, pause_s: float, *, first: bytes = b"") -> None:
        """Send one byte after another, after some at once."""

        def dripping(peer: socket.socket) -> None:
            peer.sendall(first)
            for byte in raw:
                peer.sendall(bytes([byte]))
                if self._over.wait(pause_s):
                    return

        self.then(dripping)

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            request = _read(peer)
            if request is not None:
                self.received.append(request)
                self._behaviours.pop(0)(peer)


def _read(peer: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = peer.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += peer.recv(65536)
    return Received(line, headers, body)


@dataclass
class Stopwatch:
    """Seconds since it was made."""

    start: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    server = Loopback()
    yield server
    server.close()


@pytest.fixture
def stopwatch() -> Callable[[], Stopwatch]:
    return lambda: Stopwatch(time.monotonic())


@pytest.fixture(autouse=True)
def no_keys_or_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or URL of this machine, and pauses a hundredth as long."""
    for platform in ("KAIZEN", "KAYBA", "KALMIA", "KATE"):
        for name in ("API_KEY", "BASE_URL", "API_URL", "AGENT_ID"):
            monkeypatch.delenv(f"{platform}_{name}", raising=False)
    monkeypatch.setattr("pytest_kaizen.platforms.exchange._FIRST_PAUSE_S", 0.005)
