"""A server on this machine that answers as a test tells it to."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

SECRET = "tok-0123456789-secret"


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    headers: Mapping[str, str]


class Said(NamedTuple):
    """An answer: JSON, or bytes as they are."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}


class Place(ABC):
    """A server in a thread.

    Attributes:
        asked: The requests that came.
        instead: What is answered first, whatever is asked.
        authorization: What the header of that name must be; none is asked for where it is None.
    """

    header = "authorization"

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.instead: list[Said] = []
        self.authorization: str | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @abstractmethod
    def answer(self, asked: Asked) -> Said:
        """Answer as documented."""

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._do("GET")

            def do_POST(self) -> None:
                self._do("POST")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

            def _do(self, method: str) -> None:
                target = urlsplit(self.path)
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = json.loads(content) if content else None
                asked = Asked(method, unquote(target.path), parse_qs(target.query), body, headers)
                place.asked.append(asked)
                said = place.said(asked)
                raw = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                self.send_response(said.status)
                for name, value in {"Content-Length": str(len(raw)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

        return Handler

    def said(self, asked: Asked) -> Said:
        if self.instead:
            return self.instead.pop(0)
        if self.authorization is not None and asked.headers.get(self.header) != self.authorization:
            return Said(401, {"error_code": "PERMISSION_DENIED", "message": f"not with {asked.headers}"})
        return self.answer(asked)


def missing(what: str) -> Said:
    return Said(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"there is no {what}"})
