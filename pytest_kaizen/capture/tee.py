"""Streams that are watched while they are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol


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
    sync_class, async_class = _classes(library)
    return (async_class if asynchronous else sync_class)(stream, watcher)


@lru_cache
def _classes(library: Any) -> tuple[type[Any], type[Any]]:
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
