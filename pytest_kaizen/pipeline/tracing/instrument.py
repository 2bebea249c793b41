"""``pytest_kaizen.instrument``: calls of a module, a client or any function become spans and traces."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

from ...errors import CaptureError
from .call import Options, TracedCall
from .stream import TracedStream, is_stream

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
