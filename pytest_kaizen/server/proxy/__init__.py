"""Requests to model providers, passed on as they are, and a trace of each.

A ``Passage`` is one of them and what came of it, as it went over the wire; here is also which headers go
on to a provider, and which come back from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.datastructures import Headers

from ...config import Endpoint
from ..problem import Refusal

RawHeaders = list[tuple[bytes, bytes]]

#: They are about one connection, not about the request (RFC 9110, section 7.6.1).
_OF_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: What the client of the next connection says anew.
_SAID_ANEW = frozenset({b"host", b"content-length", b"expect"})
_OURS = b"x-kaizen-"


def outgoing(headers: Headers) -> RawHeaders:
    """Return the headers of a request that go on to the provider: all but ours.

    Args:
        headers: As they came.

    Raises:
        Refusal: Our key stands where the provider's should, and would be given away.
    """
    key = headers.get("x-kaizen-key", "").strip().encode("latin-1")
    kept = []
    for name, value in _without(headers.raw, _SAID_ANEW):
        if name.startswith(_OURS):
            continue
        if key and key in value:
            raise Refusal(
                400,
                f"the header {name.decode('latin-1')} goes on to the provider and holds this server's key; "
                "put the provider's key there",
            )
        kept.append((name, value))
    return kept


def incoming(raw: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers of the provider's answer that go back; the date is this server's own."""
    return _without(raw, frozenset({b"date"}))


def _without(raw: Iterable[tuple[bytes, bytes]], more: frozenset[bytes]) -> RawHeaders:
    lowered = [(name.lower(), value) for name, value in raw]
    named = {
        part.strip().lower() for name, value in lowered if name == b"connection" for part in value.split(b",")
    }
    left_out = _OF_ONE_CONNECTION | more | named
    return [(name, value) for name, value in lowered if name not in left_out]


class BrokenAnswerError(Exception):
    """The provider's answer ended before its end; what came of it has been passed on."""


@dataclass(slots=True)
class Passage:
    """A request and as much of its answer as came; taking note costs next to nothing.

    Attributes:
        endpoint: The protocol that is spoken.
        url: Where it went, without the query.
        query: The query, encoded; it may hold credentials.
        headers: The request's headers as they were sent on.
        content: Its body.
        started_at: When it was sent on.
        clock: The same moment on ``time.perf_counter``, in seconds, as all times below.
        ended: When the answer ended.
        status: The answer's status; None while there is none.
        answer_headers: Its headers.
        chunks: Its body as it came.
        times: When each chunk came.
        error: What broke it off, as one line.
        client_gone: The client went away before the end.
        method: The request's method.
    """

    endpoint: Endpoint
    url: str
    query: str
    headers: RawHeaders
    content: bytes
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)
    ended: float | None = None
    status: int | None = None
    answer_headers: RawHeaders = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    error: str | None = None
    client_gone: bool = False
    method: str = "POST"

    def add(self, chunk: bytes) -> None:
        """Take note of a piece of the answer that has just come."""
        self.times.append(time.perf_counter())
        self.chunks.append(chunk)

    def end(self, error: str | None = None) -> None:
        """Take note that nothing more comes."""
        self.ended = time.perf_counter()
        self.error = error

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return len(self.content) + sum(map(len, self.chunks))
