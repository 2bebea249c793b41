"""From a record to what a client's ``send`` returns or raises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any

from . import body as bodies
from .record import Record

#: Lets the SDKs of anthropic and openai try again in a millisecond: they take no zero, and otherwise wait
#: half a second and more. Only for what they did try again: to openai's, a long `retry-after` says not to.
_AT_ONCE = {"retry-after-ms": "1"}


def answer(record: Record, request: Any, library: ModuleType, *, asynchronous: bool, stream: bool) -> Any:
    """Make the response of a record: one of the library's own, without a connection.

    Args:
        record: What was recorded.
        request: The request that it answers.
        library: httpx or httpx2, whichever sends it.
        asynchronous: Whether the client is.
        stream: Whether the caller reads the body itself; else it has been read.

    Raises:
        Exception: The library's error that the record ends with, when no response came before it
            or the body is to be read at once.
    """
    if record.error is not None and not (stream and record.status is not None):
        raise _error(record.error, request, library)
    chunks = bodies.decode(record.body)
    body: dict[str, Any] = {"content": b"".join(chunks)}
    if stream:
        error = None if record.error is None else _error(record.error, request, library)
        body = {"stream": _streams(library)[asynchronous](chunks, error)}
    headers = dict(record.headers)
    if record.pause_ms is not None:
        headers |= _AT_ONCE
    response = library.Response(record.status, headers=headers, request=request, **body)
    response.elapsed = timedelta(milliseconds=record.latency_ms)
    return response


def _error(error: tuple[str, str], request: Any, library: ModuleType) -> Exception:
    kind = getattr(library, error[0], library.TransportError)
    made: Exception = kind(error[1], request=request)
    return made


@lru_cache
def _streams(library: Any) -> tuple[type[Any], type[Any]]:
    class Replayed(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
            self._chunks = chunks
            self._error = error

        def __iter__(self) -> Iterator[bytes]:
            yield from self._chunks
            if self._error is not None:
                raise self._error

    class AsyncReplayed(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, chunks: list[bytes], error: Exception | None) -> None:
            self._chunks = chunks
            self._error = error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk
            if self._error is not None:
                raise self._error

    return Replayed, AsyncReplayed
