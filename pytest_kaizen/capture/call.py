"""One LLM call under way: from its first request to the end of its answer."""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from ..config import Endpoint
from ..models import Span, new_span_id
from .build import Facts, Price, build_span
from .cassettes import Record
from .credentials import credentials_of
from .recorder import Place, Recorder, call_seen, current_kind
from .streams import answer, tee
from .wire import Exchange, describe

_RETRY_COUNT = "x-stainless-retry-count"

# The call that failed last in this context, which an SDK may be about to try again.
_failed: ContextVar[weakref.ref[Call] | None] = ContextVar("kaizen_failed_call", default=None)


class Call:
    """A call, from the moment its first request is sent.

    An SDK's retry makes a further attempt of the same call: it says so in a header, and has the
    client, URL and body of the call that failed last in its context.
    """

    def __init__(self, place: Place, endpoint: Endpoint, client: Any, request: Any, price: Price) -> None:
        self._recorder = place.recorder
        self._parent_id = place.span_id
        self._kind = current_kind()
        self._endpoint = endpoint
        self._client = weakref.ref(client)
        self._url = request.url
        self._content = _content(request)
        self._price = price
        self._span_id = new_span_id()
        self._exchanges: list[Exchange] = []
        self._lock = threading.Lock()
        self._under_way = False
        self._number = self._recorder.start(self)
        call_seen()

    def begin(self, request: Any, library: ModuleType, *, asynchronous: bool) -> Attempt:
        """Start the next attempt, just before its request is sent."""
        exchange = Exchange(datetime.now(UTC), time.perf_counter(), library=library)
        attempt = Attempt(self, exchange, request, asynchronous=asynchronous)
        # And again once it is sent: a client's own authentication may replace what the user set.
        self.saw_credentials_of(request)
        with self._lock:
            if self._exchanges:
                exchange.follow(self._exchanges[-1])
            self._exchanges.append(exchange)
            self._under_way = True
        if len(self._exchanges) > 1:
            self._recorder.resume(self._number, self)
        if self._content is None:
            request.stream = tee(request.stream, _Upload(exchange), library, asynchronous=asynchronous)
        return attempt

    def replay(self, exchange: Exchange, request: Any) -> Record | None:
        """Find the recorded answer to an attempt; None for one that goes over the network.

        Raises:
            ReplayError: There is none, and none is to be made.
        """
        tape = self._recorder.tape
        if tape is None:
            return None
        return tape.take(request, exchange, self._recorder.secrets)

    @property
    def has_tape(self) -> bool:
        """Whether its sample replays or records calls."""
        return self._recorder.tape is not None

    def is_retried_by(self, recorder: Recorder, client: Any, request: Any) -> bool:
        """Say whether a request is this call again."""
        return (
            self._recorder is recorder
            and self._client() is client
            and self._url == request.url
            and self._content is not None
            and self._content == _content(request)
        )

    def may_be_retried(self) -> None:
        """Expect the next request of this context to be this call again."""
        _failed.set(weakref.ref(self))

    def saw_credentials_of(self, request: Any) -> None:
        """Remember a request's credentials, so that they are found again wherever they recur."""
        self._recorder.secrets.update(credentials_of(request))

    def is_open(self, exchange: Exchange) -> bool:
        """Say whether an attempt's answer is still awaited."""
        return self._under_way and self._exchanges[-1] is exchange

    def end(self, exchange: Exchange) -> None:
        """End the call with an attempt, unless that attempt ended before."""
        with self._lock:
            if not self.is_open(exchange):
                return
            self._under_way = False
        # To make the span takes longer than all else here; it can wait, unless the answer came in
        # chunks, which take ten times its room.
        span = self._span() if exchange.times else self._span
        self._recorder.end(self._number, span, resumable=self if exchange.has_failed else None)

    def abandon(self) -> Span | None:
        """Make the span of what is known by now; None when the call ended in the meantime."""
        with self._lock:
            if not self._under_way:
                return None
            self._under_way = False
        return self._span()

    def _span(self) -> Span:
        content = self._content
        if content is None and self._exchanges[0].sent:
            content = b"".join(self._exchanges[0].sent)
        facts = Facts(
            self._span_id, self._parent_id, self._kind, self._endpoint, _safe_url(self._url), content
        )
        return build_span(facts, self._exchanges, self._price)


class Attempt:
    """One request of a call and its answer, as the client's ``send`` and the answer's stream report them.

    Its callers let no exception of ours through to the user's code; a call that is left open by
    one is ended by the recorder.
    """

    def __init__(self, call: Call, exchange: Exchange, request: Any, *, asynchronous: bool) -> None:
        self._call = call
        self._exchange = exchange
        self._request = request
        self._asynchronous = asynchronous

    @property
    def is_on_tape(self) -> bool:
        """Whether it is to be replayed or recorded."""
        return self._call.has_tape

    def replay(self, *, stream: bool) -> Any:
        """Make the answer that was recorded; None when the request goes over the network.

        The request's body must have been read.

        Raises:
            ReplayError: There is none, and none is to be made.
            Exception: The library's error that was recorded.
        """
        record = self._call.replay(self._exchange, self._request)
        if record is None:
            return None
        library = self._exchange.library
        return answer(record, self._request, library, asynchronous=self._asynchronous, stream=stream)

    def raised(self, exc: BaseException) -> None:
        """Take note that ``send`` raised."""
        self._exchange.ended = self._exchange.now()
        self._exchange.error = describe(exc)
        response = getattr(exc, "response", None)
        if isinstance(response, self._exchange.library.Response):
            # A hook of the user's own client refuses an answer that came, as raise_for_status does.
            self._exchange.answered(response)
            with suppress(Exception):
                # It has been read, or else the library's ResponseNotRead.
                self._exchange.chunks.append(response.content)
        self._call.saw_credentials_of(self._request)
        self._call.end(self._exchange)
        self._call.may_be_retried()

    def returned(self, response: Any, *, stream: bool) -> None:
        """Take note of the response that ``send`` returns; a streamed one is watched from here on."""
        self._exchange.ended = self._exchange.now(whole=not stream)
        self._exchange.answered(response)
        if self._exchange.record is None:
            self._call.saw_credentials_of(self._request)
        if stream and not response.is_closed:
            library = self._exchange.library
            response.stream = tee(response.stream, self, library, asynchronous=self._asynchronous)
        else:
            self._exchange.chunks.append(response.content)
            self._call.end(self._exchange)
        if self._exchange.has_failed:
            self._call.may_be_retried()

    def chunk(self, data: bytes) -> None:
        """Take note of a chunk of the body."""
        if self._call.is_open(self._exchange):
            self._exchange.ended = self._exchange.now()
            self._exchange.times.append(self._exchange.ended)
            self._exchange.chunks.append(data)

    def failed(self, exc: BaseException) -> None:
        """Take note that the body broke off."""
        self._exchange.ended = self._exchange.now()
        self._exchange.error = describe(exc)

    def closed(self) -> None:
        """Take note that nobody reads on."""
        self._call.end(self._exchange)


class _Upload:
    """Keeps the body of a request that is itself a stream."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def chunk(self, data: bytes) -> None:
        self._exchange.sent.append(data)

    def failed(self, exc: BaseException) -> None:
        """The client reports it."""

    def closed(self) -> None:
        """The body is whole when it was read to its end; there is nothing to do."""


def failed_call(recorder: Recorder, client: Any, request: Any) -> Call | None:
    """Return the call of which a request is an SDK's retry; None where it starts a call of its own."""
    reference = _failed.get()
    call = reference() if reference is not None else None
    if call is None or request.headers.get(_RETRY_COUNT, "0") == "0":
        return None
    return call if call.is_retried_by(recorder, client, request) else None


def _content(request: Any) -> bytes | None:
    try:
        content: bytes = request.content
    except Exception:
        # The library's RequestNotRead: the body is a stream.
        return None
    return content


def _safe_url(url: Any) -> str:
    """Return a URL without user, password and query, which may hold credentials."""
    path = url.raw_path.partition(b"?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{path.decode('ascii', 'replace')}"
