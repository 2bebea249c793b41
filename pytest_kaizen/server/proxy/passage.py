"""One request that was passed on and what came of it, as it went over the wire."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...config import Endpoint
from .headers import RawHeaders


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
