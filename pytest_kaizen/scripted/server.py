"""A small threaded HTTP server on a free loopback port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from .http11 import BadHttp, HangUp, HttpRequest, HttpResponse, encode_response, read_request

_BACKLOG = 256
_STOP_TIMEOUT_S = 5.0


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
