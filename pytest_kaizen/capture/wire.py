"""An LLM call on the wire: how its request is known, and as much of its answer as came."""

from __future__ import annotations

import codecs
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config import Endpoint

if TYPE_CHECKING:
    from .cassettes import Record


_MAX_CHARS = 500


def one_line(text: str) -> str:
    """Fold white space and cut what is too long for a line of a report."""
    # Cut first: an error page may be megabytes.
    line = " ".join(text[: 4 * _MAX_CHARS].split())
    return line if len(line) <= _MAX_CHARS else line[: _MAX_CHARS - 1] + "…"


def describe(exc: BaseException) -> str:
    """Describe an exception as ``Type: message``; one whose ``str`` fails by its type alone."""
    kind = type(exc).__name__
    try:
        message = one_line(str(exc))
    except Exception:
        message = ""
    return f"{kind}: {message}" if message else kind


class Endpoints:
    """Recognises LLM calls by method, host and the end of the path.

    Args:
        endpoints: In order of precedence; the first that fits says how a call is read.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._known = [
            (endpoint.path.rstrip("/").encode(), endpoint.host.lower(), endpoint) for endpoint in endpoints
        ]

    def match(self, request: Any) -> Endpoint | None:
        """Return the endpoint that a request of httpx or httpx2 goes to; None where it is no LLM call."""
        if request.method != "POST":
            return None
        url = request.url
        path = url.raw_path.partition(b"?")[0].rstrip(b"/")
        for suffix, host, endpoint in self._known:
            if path.endswith(suffix) and (host == "*" or fnmatchcase(url.host, host)):
                return endpoint
        return None


def is_in_process(client: Any, url: Any) -> bool:
    """Say whether a client hands a request to an application in this very process.

    The ASGI and WSGI transports and the test clients built on them hold that application as
    ``app``. What it calls in turn is seen by itself; to count the outer call too would be twice.
    The transport has no public name; a client without it is taken to use the network.
    """
    find = getattr(client, "_transport_for_url", None)
    return find is not None and hasattr(find(url), "app")


class Event(NamedTuple):
    """One event.

    Attributes:
        name: Its ``event`` field.
        data: Its ``data`` lines, joined by line feeds.
        end: The offset just behind it in the body, in bytes.
    """

    name: str | None
    data: str
    end: int


def is_event_stream(content_type: str, body: bytes) -> bool:
    """Say whether a body is a stream of events, by its media type and its beginning."""
    if content_type == "text/event-stream":
        return True
    # Some compatible servers stream under another name.
    return content_type != "application/json" and body.lstrip()[:6].startswith((b"data:", b"event:"))


def events_of(body: bytes) -> Iterator[Event]:
    """Yield the events that have data.

    Bytes are split before they are decoded, so that no character is cut apart. An event that the
    end of the body cut short is yielded too: what came of it may still be readable.

    Args:
        body: The decompressed body, from its start.
    """
    name: str | None = None
    data: list[bytes] = []
    end = 0
    for raw in body.splitlines(keepends=True):
        end += len(raw)
        line = raw.rstrip(b"\r\n")
        if end == len(raw):
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
        elif line == b"data":
            data.append(b"")
        elif not line:
            if data:
                yield Event(name, _text(data), end)
            name, data = None, []
    if data:
        yield Event(name, _text(data), end)


def _text(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("utf-8", "replace")


@dataclass(slots=True)
class Exchange:
    """One HTTP request and its answer; a call that is tried again has several.

    Attributes:
        started_at: When the request was sent.
        clock: The same moment on ``time.perf_counter``, in seconds, as all times below.
        ended: When the last of the answer came, or the error; None while nothing did.
        status: The answer's status code.
        reason: Its reason phrase.
        content_type: Its media type in lower case, without parameters.
        chunks: Its body as it came; a body that was read in one go is one chunk, decompressed.
        times: When each chunk came; empty for a body that was read in one go.
        error: The exception that ended it, as one line.
        sent: The request's body as it went, where that is a stream.
        library: The module, httpx or httpx2, that sent it.
        encoding: The body's content encoding; a body that was read in one go is decoded already.
        headers: The answer's headers as they came.
        record: What it is answered with instead of over the network.
        cassette: The cassette and the name of the record in it, where there is one or is to be one.
        cost_usd: What the call cost that ended with it.
        ahead: Seconds by which its times are ahead of the clock, as attempts before it were replayed: their
            answers come at once, and count as if they had taken the time that was recorded.
        pause: Seconds from its end until the call was tried again; None where it was not.
    """

    started_at: datetime
    clock: float
    ended: float | None = None
    status: int | None = None
    reason: str = ""
    content_type: str = ""
    chunks: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    error: str | None = None
    sent: list[bytes] = field(default_factory=list)
    library: Any = None
    encoding: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    record: Record | None = None
    cassette: str | None = None
    cost_usd: float | None = None
    ahead: float = 0.0
    pause: float | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it brought an exception or an error status instead of an answer."""
        return self.error is not None or (self.status is not None and self.status >= 400)

    def follow(self, last: Exchange) -> None:
        """Start as the next attempt of a call, after the one before it."""
        ended = last.clock if last.ended is None else last.ended
        if last.record is None:
            pause = self.clock + last.ahead - ended
        elif last.record.pause_ms is None:
            # Its answer came at once.
            pause = self.clock + last.ahead - last.clock
        else:
            pause = last.record.pause_ms / 1000
        last.pause = pause
        self.ahead = ended + pause - self.clock
        self.clock = ended + pause

    def now(self, *, whole: bool = False) -> float:
        """Return the time; in an exchange that is replayed, when what comes next was recorded to come.

        Args:
            whole: What comes next is all of the answer at once.
        """
        if self.record is None:
            return time.perf_counter() + self.ahead
        arrivals = self.record.arrival_ms
        number = len(self.times)
        moment = arrivals[number] if number < len(arrivals) and not whole else self.record.latency_ms
        return self.clock + moment / 1000

    def answered(self, response: Any) -> None:
        """Take note of the status line and of the headers that say how the body is to be read."""
        self.status = response.status_code
        self.headers = response.headers.raw
        # Looked up by name, each would cost as much as the whole loop.
        for name, value in self.headers:
            field = name.lower()
            if field == b"content-type":
                self.content_type = value.decode("latin-1").partition(";")[0].strip().lower()
            elif field == b"content-encoding":
                self.encoding = value.decode("latin-1")
        if self.status >= 400:
            self.reason = response.reason_phrase

    def body(self) -> tuple[bytes, list[int]]:
        """Return the decompressed body, and how far it reached after each chunk.

        A compressed body that was cut short gives what can be decompressed of it.
        """
        chunks = list(self.chunks)
        pieces = (
            _decoded(self.library, self.encoding, chunks)
            if self.encoding and self.times
            else enumerate(chunks)
        )
        whole: list[bytes] = []
        ends = [0] * len(chunks)
        size = 0
        try:
            for index, piece in pieces:
                whole.append(piece)
                size += len(piece)
                ends[index] = size
        except Exception:
            # The library's DecodingError, or whatever a damaged body makes a decompressor raise.
            return b"".join(whole), _filled(ends)
        return b"".join(whole), _filled(ends)

    def arrival(self, end: int, ends: list[int]) -> float | None:
        """Return when the body had reached an offset; None for a body read in one go."""
        if not self.times:
            return None
        return self.times[min(bisect_left(ends, end), len(self.times) - 1)]

    def completed(self, end: int, ends: list[int]) -> None:
        """Take note that the answer was whole at an offset of the body, whatever came after it.

        A reader may drain what follows the end event, and give up on it after a while.
        """
        self.error = None
        self.ended = self.arrival(end, ends) or self.ended


def _filled(ends: list[int]) -> list[int]:
    """Let a chunk that decompressed to nothing end where the one before it ended."""
    reached = 0
    for index, end in enumerate(ends):
        reached = ends[index] = max(reached, end)
    return ends


def _decoded(library: Any, encoding: str, chunks: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Decompress chunks as the library itself does, with the index of the chunk that each piece is from."""
    reader = 0

    class Chunks(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            nonlocal reader
            for index, chunk in enumerate(chunks):
                reader = index
                yield chunk

    response = library.Response(200, headers={"content-encoding": encoding}, stream=Chunks())
    for piece in response.iter_bytes():
        yield reader, piece
