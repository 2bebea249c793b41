"""A small threaded HTTP server on a free loopback port, which speaks HTTP/1.1 as far as it is needed.

It takes a tenth of the time that ``http.server`` takes.
"""

from __future__ import annotations

import contextlib
import http
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

_MAX_LINE = 65536
_MAX_HEADERS = 200

_BACKLOG = 256
_STOP_TIMEOUT_S = 5.0


class BadHttp(Exception):  # noqa: N818 - it names what arrived
    """Bytes that are not an HTTP/1.1 request."""


class HangUp(Exception):  # noqa: N818 - it asks for something
    """Close the connection now, without the rest of the answer."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; header names are in lower case, ``path`` has no query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response; a body that is not ``bytes`` is sent in chunks, each when it is made."""

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes]


def read_request(source: BinaryIO, send: Callable[[bytes], object]) -> HttpRequest | None:
    """Read the next request of a connection; None when the client has closed it.

    Args:
        source: The connection, buffered.
        send: Writes to the connection, for clients that wait for ``100 Continue``.

    Raises:
        BadHttp: What came is not HTTP.
    """
    line = source.readline(_MAX_LINE)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadHttp("expected a request line such as 'POST /v1/messages HTTP/1.1'")
    method, target, version = words
    headers = _read_headers(source)
    if headers.get("expect", "").lower() == "100-continue":
        send(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection = headers.get("connection", "").lower()
    return HttpRequest(
        method=method,
        path=target.partition("?")[0],
        headers=headers,
        body=_read_body(source, headers),
        keep_alive=version == "HTTP/1.1" and connection != "close",
    )


def encode_response(response: HttpResponse, *, keep_alive: bool) -> Iterator[bytes]:
    """Give the bytes of a response, piece by piece as they become due.

    Raises:
        HangUp: The body's own iterator asked for it.
    """
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += (f"{name}: {value}" for name, value in response.headers.items())
    lines.append(
        f"content-length: {len(response.body)}"
        if isinstance(response.body, bytes)
        else "transfer-encoding: chunked"
    )
    lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if isinstance(response.body, bytes):
        yield head + response.body
        return
    yield head
    for chunk in response.body:
        yield b"%x\r\n%b\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


def _read_headers(source: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = source.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n"):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadHttp("expected a header such as 'name: value'")
        headers[name.strip().lower()] = value.strip()
    raise BadHttp(f"more than {_MAX_HEADERS} headers")


def _read_body(source: BinaryIO, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return b"".join(_read_chunks(source))
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise BadHttp(f"content-length: expected a number (found {length!r})")
    return _read_exactly(source, int(length))


def _read_chunks(source: BinaryIO) -> Iterator[bytes]:
    while True:
        size_line = source.readline(_MAX_LINE).partition(b";")[0].strip()
        try:
            size = int(size_line, 16)
        except ValueError:
            raise BadHttp(f"expected the size of a chunk (found {size_line!r})") from None
        if size == 0:
            _read_headers(source)
            return
        yield _read_exactly(source, size)
        source.readline(_MAX_LINE)


def _read_exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise BadHttp("the body ended early")
    return data


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Server:
    """Serves until it is stopped; one thread per connection, connections kept alive.

    Args:
        respond: Answers a request; may raise ``HangUp``. Called from many threads.
    """

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self._respond = respond
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._stopping = False
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept, name="scripted-llm-accept", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        self._stopping = True
        # A connection wakes accept() on every system; closing its socket does not.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._acceptor.join(_STOP_TIMEOUT_S)
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(_STOP_TIMEOUT_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._stopping:
                connection.close()
                return
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="scripted-llm-connection", daemon=True
            )
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # The client may go away at any time; that ends the connection and is no error of ours.
        with contextlib.suppress(OSError, HangUp), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as source:
                while True:
                    try:
                        request = read_request(source, connection.sendall)
                    except BadHttp as exc:
                        refusal = HttpResponse(400, {"content-type": "text/plain"}, f"{exc}\n".encode())
                        for data in encode_response(refusal, keep_alive=False):
                            connection.sendall(data)
                        break
                    if request is None:
                        break
                    for data in encode_response(self._respond(request), keep_alive=request.keep_alive):
                        connection.sendall(data)
                    if not request.keep_alive:
                        break
        with self._lock:
            self._connections.pop(connection, None)
