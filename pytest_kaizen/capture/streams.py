"""Streams in the HTTP libraries' own classes: watched while they are read, or played from a record."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

from .cassettes.layout import decode_body
from .cassettes.record import Record

#: Lets the SDKs of anthropic and openai try again in a millisecond: they take no zero, and otherwise wait
#: half a second and more. Only for what they did try again: to openai's, a long `retry-after` says not to.
_AT_ONCE = {"retry-after-ms": "1"}


class Watcher(Protocol):
    """What is told about a stream."""

    def chunk(self, data: bytes) -> None:
        """A chunk was read."""
        ...

    def failed(self, exc: BaseException) -> None:
        """Reading it raised an exception."""
        ...

    def closed(self) -> None:
        """It was closed."""
        ...


def tee(stream: Any, watcher: Watcher, library: ModuleType, *, asynchronous: bool) -> Any:
    """Wrap a byte stream, so that a watcher hears of everything that its reader reads.

    The reader gets the same chunks and the same exceptions; whatever else it asks of the stream
    it gets from the stream itself (httpx2 reads ``elapsed`` there). A watcher that raises is
    not heard.

    Args:
        stream: The byte stream.
        watcher: Who is told.
        library: httpx or httpx2, whichever the stream belongs to: each insists on its own classes.
        asynchronous: Whether the stream is read asynchronously.
    """
    sync_class, async_class = _tee_classes(library)
    return (async_class if asynchronous else sync_class)(stream, watcher)


@lru_cache
def _tee_classes(library: Any) -> tuple[type[Any], type[Any]]:
    class SyncTee(_Tee, library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self._stream:
                    self._chunk(chunk)
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as exc:
                self._failed(exc)
                raise

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._closed()

    class AsyncTee(_Tee, library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            source = self._stream.__aiter__()
            try:
                async for chunk in source:
                    self._chunk(chunk)
                    yield chunk
            except GeneratorExit:
                raise
            except BaseException as exc:
                self._failed(exc)
                raise
            finally:
                # As httpx2 does with the streams it wraps: left to the garbage collector, a
                # generator would be closed in another task.
                if isinstance(source, AsyncGenerator):
                    await source.aclose()

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._closed()

    return SyncTee, AsyncTee


class _Tee:
    def __init__(self, stream: Any, watcher: Watcher) -> None:
        self._stream = stream
        self._watcher = watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _chunk(self, data: bytes) -> None:
        with suppress(Exception):
            self._watcher.chunk(data)

    def _failed(self, exc: BaseException) -> None:
        with suppress(Exception):
            self._watcher.failed(exc)

    def _closed(self) -> None:
        with suppress(Exception):
            self._watcher.closed()


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
    chunks = decode_body(record.body)
    body: dict[str, Any] = {"content": b"".join(chunks)}
    if stream:
        error = None if record.error is None else _error(record.error, request, library)
        body = {"stream": _replay_classes(library)[asynchronous](chunks, error)}
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
def _replay_classes(library: Any) -> tuple[type[Any], type[Any]]:
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
