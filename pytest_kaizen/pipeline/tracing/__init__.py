"""Traces that a program asks for itself, in tests and outside: ``trace``, ``agent`` and ``instrument``.

The first two make a trace of a block of code or a function, the third of the calls of a module, a
client or any function.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import ModuleType, TracebackType
from typing import Any, TypeVar, overload

from ...capture import SpanHandle, arguments_of, current_recorder, named_secrets, plain
from ...errors import CaptureError
from ...models import SpanKind
from .call import Options, TracedCall, TracedStream, is_stream
from .process import OpenTrace, begun, joined

F = TypeVar("F", bound=Callable[..., Any])

T = TypeVar("T")
_MARK = "_kaizen_instrumented"

#: By module: what of it calls a model, as ``submodule:Class.method`` or as a function of its own.
_IN_MODULES: Mapping[str, tuple[str, ...]] = {
    "litellm": ("completion", "acompletion", "responses", "aresponses"),
    "anthropic": tuple(
        f"resources.{place}messages:{kind}.{method}"
        for place in ("", "beta.")
        for kind in ("Messages", "AsyncMessages")
        for method in ("create", "stream")
    ),
    "openai": tuple(
        f"resources.{place}.{method}"
        for place in (
            "chat.completions:Completions",
            "chat.completions:AsyncCompletions",
            "responses:Responses",
            "responses:AsyncResponses",
        )
        for method in ("create", "stream", "parse")
    ),
}
#: What calls a model in a client, sync or async.
_IN_CLIENTS = (
    "messages.create",
    "messages.stream",
    "beta.messages.create",
    "beta.messages.stream",
    "chat.completions.create",
    "chat.completions.stream",
    "chat.completions.parse",
    "responses.create",
    "responses.stream",
    "responses.parse",
)


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


def instrument(
    target: T,
    *,
    task_map: Mapping[str, str] | None = None,
    ignore_unmapped: bool = False,
    api_key: str | None = None,
    base_url: str | None = None,
) -> T:
    """Make the calls of a target spans of the test that makes them, and outside pytest traces.

    For what capture does not see by itself: calls that do not go through httpx, and programs that
    run without pytest. A call that goes through httpx below is one span all the same. A second
    ``instrument`` of a target changes nothing.

    What a call returns has ``ct_trace_id`` and ``ct_score(score)``, if it is an object that can have
    them (text and dicts cannot). Within pytest but outside a recorded test, the id is None and the
    score goes nowhere. Outside pytest a trace is sent to a Kaizen CT server when there is a key, and
    else (also when the server does not take it) kept in ``.kaizen/kaizen.db`` of the working
    folder. Its task is named after the file and the variable that hold the prompt
    (``prompts_summarize``), or else the function that calls.

    Args:
        target: The module ``litellm``, ``anthropic`` or ``openai``; a client with their methods; or
            any function, also async or a generator.
        task_map: The names of tasks by variable.
        ignore_unmapped: Outside pytest, leave alone what is not in ``task_map``.
        api_key: The server's key; ``KAIZEN_API_KEY`` when not given.
        base_url: The server; ``KAIZEN_BASE_URL`` when not given.

    Returns:
        The target itself; for a function, the function to call in its place.

    Raises:
        CaptureError: The target is none of these.
    """
    options = Options(dict(task_map or {}), ignore_unmapped, (api_key, base_url))
    if isinstance(target, ModuleType):
        _instrument_module(target, options)
        return target
    if not inspect.isclass(target) and _instrument_client(target, options):
        return target
    if callable(target) and not inspect.isclass(target):
        return wrapped(target, options)  # type: ignore[return-value]
    raise CaptureError(
        f"instrument: expected a module ({', '.join(_IN_MODULES)}), a client of one, or a function "
        f"(found {target!r:.100})"
    )


def wrapped(function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """Return a function that does what the given one does, and is traced."""
    if getattr(function, _MARK, False):
        return function

    async def atraced(*args: Any, **kwargs: Any) -> Any:
        call = TracedCall(function, args, kwargs, options)
        return await call.awaited(function(*args, **kwargs))

    def straced(*args: Any, **kwargs: Any) -> Any:
        call = TracedCall(function, args, kwargs, options)
        try:
            with call.running():
                value = function(*args, **kwargs)
        except BaseException as exc:
            call.raised(exc)
            raise
        if inspect.isawaitable(value):
            return call.awaited(value)
        return TracedStream(value, call) if is_stream(value) else call.returned(value)

    traced: Callable[..., Any] = atraced if inspect.iscoroutinefunction(function) else straced
    with suppress(AttributeError):
        # Some callable objects have no name.
        functools.update_wrapper(traced, function)
    setattr(traced, _MARK, True)
    return traced


def _instrument_module(module: ModuleType, options: Options) -> None:
    paths = _IN_MODULES.get(module.__name__)
    if paths is None:
        raise CaptureError(
            f"instrument: the module {module.__name__!r} is not known (known are "
            f"{', '.join(_IN_MODULES)}); instrument the function that calls the model"
        )
    for path in paths:
        place, _, names = path.rpartition(":")
        # The newest release may lack what an older one has.
        with suppress(ImportError):
            owner = importlib.import_module(f"{module.__name__}.{place}") if place else module
            _replace(owner, names, options)


def _instrument_client(client: Any, options: Options) -> bool:
    """Instrument what a client has of the known methods; say whether it has any."""
    found = [_replace(client, path, options) for path in _IN_CLIENTS]
    return any(found)


def _replace(owner: Any, path: str, options: Options) -> bool:
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step, None)
    method = getattr(owner, name, None)
    if owner is None or not callable(method):
        return False
    setattr(owner, name, wrapped(method, options))
    return True
