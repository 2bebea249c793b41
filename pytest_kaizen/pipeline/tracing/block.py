"""``pytest_kaizen.trace`` and ``agent``: a step of the program, as a block of code or a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar, overload

from ...capture import SpanHandle, arguments_of, current_recorder, named_secrets, plain
from ...errors import CaptureError
from ...models import SpanKind
from .open import OpenTrace, begun, joined

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class TraceHandle(SpanHandle):
    """What ``with trace(...) as step`` gives: the user may set input, output and metadata.

    Attributes:
        opened: The trace that the step is in.
    """

    opened: OpenTrace = field(default_factory=lambda: OpenTrace(None), repr=False)

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that the step is in; None where nothing is kept."""
        return self.opened.trace_id

    def score(self, value: float, name: str = "ct_score") -> None:
        """Give that trace a score, also after the block.

        Raises:
            ScoreError: A value that is no number in [0, 1].
        """
        self.opened.score(value, name)


class TraceBlock:
    """A context manager, with and without ``async``, and a decorator; see ``trace``."""

    def __init__(self, name: str | None, task: str | None, kind: SpanKind) -> None:
        self._name = name
        self._task = task
        self._kind = kind
        self._stack = ExitStack()
        self._handle = TraceHandle()
        self._span: SpanHandle | None = None

    def __enter__(self) -> TraceHandle:
        name = self._name or "trace"
        opened = joined() or begun(name, self._task)
        self._stack, self._span = ExitStack(), None
        self._handle = TraceHandle(opened=opened)
        self._stack.enter_context(opened.entered())
        recorder = current_recorder()
        if recorder is not None:
            self._span = self._stack.enter_context(recorder.span(name, self._kind))
        return self._handle

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(exc_type, exc, traceback)
        self._handle.opened.finish(exc)

    async def __aenter__(self) -> TraceHandle:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(exc_type, exc, traceback)
        await self._handle.opened.afinish(exc)

    def __call__(self, function: F) -> F:
        """Trace each call of a function: its arguments are the input, what it returns the output."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise CaptureError(
                f"trace: {function.__qualname__!r} is a generator function, which runs in pieces; "
                "wrap it with pytest_kaizen.instrument(...) or use `with trace(...)` inside it"
            )
        name = self._name or getattr(function, "__qualname__", "trace")

        def block() -> TraceBlock:
            return TraceBlock(name, self._task, self._kind)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args: Any, **kwargs: Any) -> Any:
                async with block() as step:
                    step.input = _given(arguments_of(function, args, kwargs))
                    result = await function(*args, **kwargs)
                    step.output = plain(result)
                return result

        else:

            @functools.wraps(function)
            def traced(*args: Any, **kwargs: Any) -> Any:
                with block() as step:
                    step.input = _given(arguments_of(function, args, kwargs))
                    result = function(*args, **kwargs)
                    step.output = plain(result)
                return result

        return traced  # type: ignore[return-value]

    def _leave(self, *exc: Any) -> None:
        handle = self._handle
        if self._span is not None:
            self._span.input, self._span.output = handle.input, handle.output
            self._span.metadata = handle.metadata
        live = handle.opened.live
        if handle.opened.is_own and live is not None:
            live.content.input, live.content.output = handle.input, handle.output
        self._stack.__exit__(*exc)


@overload
def trace(name: F) -> F: ...
@overload
def trace(
    name: str | None = None, *, task: str | None = None, kind: SpanKind | str = SpanKind.CHAIN
) -> TraceBlock: ...
def trace(
    name: Any = None, *, task: str | None = None, kind: SpanKind | str = SpanKind.CHAIN
) -> TraceBlock | Any:
    """Record a step of the program, as a context manager (``async`` too) or a decorator.

    LLM calls within it belong to it. In a test it is a span of that test's trace. Outside pytest the
    outermost step is a trace of its own, sent to a Kaizen CT server when ``KAIZEN_API_KEY`` is set
    (``KAIZEN_BASE_URL`` says where), and else kept in ``.kaizen/kaizen.db`` of the working folder.
    An exception is recorded and goes on.

    Args:
        name: What the step is called; a function's own name by default.
        task: The task that a trace of its own is for.
        kind: What the step stands for: CHAIN, TOOL, AGENT, RETRIEVER, EMBEDDING.

    Raises:
        CaptureError: A generator function is to be decorated.
    """
    if callable(name):
        return TraceBlock(None, task, SpanKind(kind))(name)
    return TraceBlock(name, task, SpanKind(kind))


@overload
def agent(name: F) -> F: ...
@overload
def agent(name: str | None = None, *, task: str | None = None) -> TraceBlock: ...
def agent(name: Any = None, *, task: str | None = None) -> TraceBlock | Any:
    """Record every run of an agent that no test drives, as ``kaizen exec`` does for a program of its own.

    Each call of the decorated function, or each pass through the ``with`` block, is a trace with the model
    calls in it; all else is as with ``trace``.

    Args:
        name: What the agent is called; the function's own name by default.
        task: The task that its traces are of.

    Raises:
        CaptureError: A generator function is to be decorated.
    """
    return trace(name, task=task, kind=SpanKind.AGENT)


def _given(arguments: dict[str, Any]) -> Any:
    given = plain({key: value for key, value in arguments.items() if key not in ("self", "cls")})
    recorder = current_recorder()
    if recorder is not None:
        recorder.secrets.update(named_secrets(given))
    return next(iter(given.values())) if len(given) == 1 else given or None
