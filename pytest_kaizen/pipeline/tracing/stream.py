"""Streamed answers that are watched while they are read."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any

from .call import TracedCall


def is_stream(value: Any) -> bool:
    """Say whether an answer comes in pieces: an iterator, or what an SDK's ``stream`` method returns."""
    kind = type(value)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__") or kind.__name__.endswith("StreamManager")


class TracedStream:
    """Hands on a stream, and whatever else its reader asks of it; also says which trace it is in.

    Args:
        stream: The stream.
        call: What it answers.
    """

    def __init__(self, stream: Any, call: TracedCall) -> None:
        self._stream = stream
        self._manager = stream
        self._call = call
        self._chunks: list[Any] = []
        self._ended = False

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        """The stream's own class, for those who ask by ``isinstance``."""
        return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def ct_trace_id(self) -> str | None:
        """The id of the trace; a server gives it once the stream has ended."""
        return self._call.trace.trace_id

    def ct_score(self, score: float) -> None:
        """Give the trace a score in [0, 1]."""
        self._call.score(score)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            with self._call.running():
                chunk = next(self._stream)
        except StopIteration:
            self._end(None, complete=True)
            raise
        except BaseException as exc:
            self._end(exc, complete=False)
            raise
        self._chunks.append(chunk)
        return chunk

    def __enter__(self) -> Any:
        with self._call.running():
            self._stream = self._manager.__enter__()
        return self

    def __exit__(self, *exc: Any) -> Any:
        try:
            with self._call.running():
                return self._manager.__exit__(*exc)
        finally:
            self._end(exc[1], complete=False)

    def close(self) -> Any:
        """Close the stream; what closes an asynchronous one of an SDK is to be awaited."""
        with self._call.running():
            closing = self._stream.close()
        if inspect.isawaitable(closing):
            return self._closed(closing)
        self._end(None, complete=False)
        return closing

    def aclose(self) -> Any:
        """Close an asynchronous generator, when it is awaited."""
        return self._closed(self._stream.aclose())

    def __del__(self) -> None:
        # Its reader stopped early and let go of it. This may run in the midst of anything.
        if not self._ended:
            self._call.dropped(self._chunks)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            with self._call.running():
                chunk = await self._stream.__anext__()
        except StopAsyncIteration:
            await self._aend(None, complete=True)
            raise
        except BaseException as exc:
            await self._aend(exc, complete=False)
            raise
        self._chunks.append(chunk)
        return chunk

    async def __aenter__(self) -> Any:
        with self._call.running():
            self._stream = await self._manager.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> Any:
        try:
            with self._call.running():
                return await self._manager.__aexit__(*exc)
        finally:
            await self._aend(exc[1], complete=False)

    async def _closed(self, closing: Awaitable[Any]) -> Any:
        try:
            with self._call.running():
                return await closing
        finally:
            await self._aend(None, complete=False)

    def _end(self, error: BaseException | None, *, complete: bool) -> None:
        self._ended = True
        self._call.streamed(self._chunks, error, complete=complete)
        self._call.trace.finish(error)

    async def _aend(self, error: BaseException | None, *, complete: bool) -> None:
        self._ended = True
        self._call.streamed(self._chunks, error, complete=complete)
        await self._call.trace.afinish(error)
