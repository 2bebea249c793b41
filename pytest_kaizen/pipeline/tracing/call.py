"""One call of something that is instrumented, from its start to the end of its answer, streamed or not."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...capture import ObservedCall, Watch, arguments_of, current_place, texts_of, watching
from .process import OpenTrace, Server, begun, joined
from .sinks import find_origin

#: The name of the scores that ``ct_score`` gives.
SCORE_NAME = "ct_score"


@dataclass(frozen=True)
class Options:
    """How calls are traced outside tests; see ``instrument``."""

    task_map: Mapping[str, str] = field(default_factory=dict)
    ignore_unmapped: bool = False
    server: Server = (None, None)


class TracedCall:
    """A call under way: what it belongs to, and what is known of it.

    Args:
        function: What is called.
        args: With what, by position.
        kwargs: And by name.
        options: How.
    """

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, options: Options) -> None:
        self._watch = Watch()
        self._observed: ObservedCall | None = None
        self.trace = OpenTrace(None)
        # Arguments may be anything, and the program comes first.
        with suppress(Exception):
            self._begin(function, arguments_of(function, args, kwargs), options)

    def _begin(self, function: Callable[..., Any], arguments: dict[str, Any], options: Options) -> None:
        name = getattr(function, "__qualname__", type(function).__name__)
        self.trace = joined() or _begun(name, arguments, options)
        with self.trace.entered():
            place = current_place()
            if place is not None:
                self._observed = ObservedCall(place, name, arguments, self._watch)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let what happens in a block of code belong to the call."""
        with self.trace.entered(), watching(self._watch):
            yield

    def returned(self, value: Any) -> Any:
        """Take note of an answer that came at once, and hand it on."""
        self._note(lambda observed: observed.returned(value))
        self.trace.finish(None)
        return self._marked(value)

    def raised(self, error: BaseException) -> None:
        """Take note of the exception that ended it."""
        self._note(lambda observed: observed.raised(error))
        self.trace.finish(error)

    async def awaited(self, coming: Awaitable[Any]) -> Any:
        """Wait for the answer of an asynchronous call, and hand it on."""
        try:
            with self.running():
                value = await coming
        except BaseException as exc:
            self._note(partial(ObservedCall.raised, error=exc))
            await self.trace.afinish(exc)
            raise
        if is_stream(value):
            return TracedStream(value, self)
        self._note(lambda observed: observed.returned(value))
        await self.trace.afinish(None)
        return self._marked(value)

    def streamed(self, chunks: list[Any], error: BaseException | None, *, complete: bool) -> None:
        """Take note of the end of a streamed answer; the trace is to be finished then."""
        self._note(lambda observed: observed.streamed(chunks, complete=complete, error=error))

    def dropped(self, chunks: list[Any]) -> None:
        """Take note that nobody reads a streamed answer any more; only that, as it may be at any moment."""

        def end() -> None:
            self.streamed(chunks, None, complete=False)
            self.trace.finish(None)

        self.trace.do_later(end)

    def score(self, score: float) -> None:
        """Give the trace a score in [0, 1]."""
        self.trace.score(score, SCORE_NAME)

    def _note(self, what: Callable[[ObservedCall], None]) -> None:
        if self._observed is not None:
            # What is returned may be anything, and the program comes first.
            with suppress(Exception):
                what(self._observed)

    def _marked(self, value: Any) -> Any:
        """Let an answer say which trace it is in, where it is an object that can."""
        with suppress(Exception):
            # Past pydantic, for which these would be fields of the answer.
            object.__setattr__(value, "ct_trace_id", self.trace.trace_id)
            object.__setattr__(value, "ct_score", partial(TracedCall.score, self))
        return value


def _begun(name: str, arguments: dict[str, Any], options: Options) -> OpenTrace:
    origin = find_origin(texts_of(arguments), options.task_map)
    task = options.task_map.get(origin.variable or "")
    if task is None and options.ignore_unmapped:
        return OpenTrace(None)
    return begun(name, task or origin.task, origin, options.server)


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
