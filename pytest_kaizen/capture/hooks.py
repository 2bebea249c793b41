"""The hooks in httpx and httpx2 through which calls are seen, whenever those are imported.

Threads inherit the context they were started in: Python below 3.14 starts every thread in an empty
one, so that what a thread of a sample calls would belong to no one.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Thread
from types import ModuleType
from typing import Any

from ..config import Endpoint
from ..models import Usage
from .build import Price
from .call import Attempt, Call, failed_call
from .recorder import current_place
from .wire import Endpoints, is_in_process

_INHERITED = object()

_LIBRARIES = ("httpx", "httpx2")
_MARK = "_kaizen_capture"
_installed: list[Capture] = []


class Patches:
    """Replaces attributes of classes, and puts them back."""

    def __init__(self) -> None:
        self._done: list[tuple[type[Any], str, Any, Any]] = []

    def replace(self, owner: type[Any], name: str, replacement: Callable[..., Any]) -> None:
        """Replace an attribute of a class."""
        before = vars(owner).get(name, _INHERITED)
        setattr(owner, name, replacement)
        self._done.append((owner, name, replacement, before))

    def undo(self) -> None:
        """Put everything back, last first; what somebody else has replaced since stays theirs."""
        while self._done:
            owner, name, replacement, before = self._done.pop()
            if vars(owner).get(name) is not replacement:
                continue
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


class ImportWatch(MetaPathFinder):
    """Calls back for modules as soon as they have been imported; imports none itself.

    Args:
        names: The modules' names.
        on_import: What is called with each, once it has run.
    """

    def __init__(self, names: Collection[str], on_import: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._on_import = on_import

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find a watched module, and have its loader tell us."""
        if fullname not in self._names:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._watch(spec)
                return spec
        return None

    def _watch(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if loader is None or execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            # The loader is as before from here on; some are shared between modules.
            vars(loader).pop("exec_module", None)
            execute(module)
            self._on_import(module)

        vars(loader)["exec_module"] = exec_module


def carry_context(patches: Patches) -> None:
    """Patch ``Thread.start`` and ``ThreadPoolExecutor.submit`` to run in the caller's context."""
    patches.replace(Thread, "start", _start_in_context(Thread.start))
    patches.replace(ThreadPoolExecutor, "submit", _submit_in_context(ThreadPoolExecutor.submit))


def _start_in_context(original: Callable[[Thread], None]) -> Callable[[Thread], None]:
    @wraps(original)
    def start(self: Thread) -> None:
        if current_place() is None:
            original(self)
            return
        context = copy_context()
        run = self.run

        def run_in_context() -> None:
            # The thread refers to this function and it to the thread: let go.
            vars(self).pop("run", None)
            context.run(run)

        vars(self)["run"] = run_in_context
        try:
            original(self)
        except BaseException:
            vars(self).pop("run", None)
            raise

    return start


def _submit_in_context(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # Also where nothing is recorded: a worker's own context is that of whoever submitted first.
        return original(self, copy_context().run, fn, *args, **kwargs)

    return submit


class Capture:
    """Sees the LLM calls that go through httpx or httpx2; installed once per session.

    Every SDK on these libraries is seen, without being wrapped, and so are plain requests. A call
    belongs to the recorder that is current where it starts; where none is, it passes untouched.
    WebSocket sessions are not seen.

    Args:
        endpoints: Which requests are LLM calls, and how each is read; the first that fits counts.
        price: What a model's usage costs in USD; None where that is not known.
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, price: Price) -> None:
        self._endpoints = Endpoints(endpoints)
        self.price = price
        self._patches = Patches()
        self._watch: ImportWatch | None = None

    def install(self) -> None:
        """Hook into the libraries: those imported already, and the others once they are.

        Imports neither of them. A second ``install`` changes nothing.
        """
        if self._watch is not None:
            return
        self._watch = ImportWatch(_LIBRARIES, self._hook)
        sys.meta_path.insert(0, self._watch)
        for name in _LIBRARIES:
            module = sys.modules.get(name)
            if module is not None:
                self._hook(module)
        carry_context(self._patches)
        _installed.append(self)

    def uninstall(self) -> None:
        """Put everything back as it was before ``install``."""
        if self._watch is None:
            return
        with suppress(ValueError):
            sys.meta_path.remove(self._watch)
        self._watch = None
        _installed.remove(self)
        self._patches.undo()

    def _hook(self, library: ModuleType) -> None:
        for name, make in (("Client", self._sync_send), ("AsyncClient", self._async_send)):
            owner = getattr(library, name, None)
            send = getattr(owner, "send", None)
            # One library may be an alias of the other, or built on its classes.
            if not isinstance(owner, type) or send is None or getattr(send, _MARK, None) is self:
                continue
            # Below the hook of another capture: a call is recorded once, by the innermost.
            original = send.__wrapped__ if hasattr(send, _MARK) else send
            hook = make(original, library)
            setattr(hook, _MARK, self)
            self._patches.replace(owner, "send", hook)

    def _begin(self, client: Any, request: Any, library: ModuleType, *, asynchronous: bool) -> Attempt | None:
        place = current_place()
        if place is None or self._watch is None:
            return None
        with suppress(Exception):
            endpoint = self._endpoints.match(request)
            if endpoint is not None and not is_in_process(client, request.url):
                call = failed_call(place.recorder, client, request)
                call = call or Call(place, endpoint, client, request, self.price)
                return call.begin(request, library, asynchronous=asynchronous)
        return None

    def _sync_send(self, original: Callable[..., Any], library: ModuleType) -> Callable[..., Any]:
        @wraps(original)
        def send(client: Any, request: Any, **kwargs: Any) -> Any:
            attempt = self._begin(client, request, library, asynchronous=False)
            if attempt is None:
                return original(client, request, **kwargs)
            stream = bool(kwargs.get("stream"))
            try:
                response = None
                if attempt.is_on_tape and not client.is_closed:
                    request.read()
                    response = attempt.replay(stream=stream)
                    for hook, value in _user_hooks(client, request, response):
                        hook(value)
                if response is None:
                    response = original(client, request, **kwargs)
            except BaseException as exc:
                with suppress(Exception):
                    attempt.raised(exc)
                raise
            with suppress(Exception):
                attempt.returned(response, stream=stream)
            return response

        return send

    def _async_send(
        self, original: Callable[..., Awaitable[Any]], library: ModuleType
    ) -> Callable[..., Awaitable[Any]]:
        @wraps(original)
        async def send(client: Any, request: Any, **kwargs: Any) -> Any:
            attempt = self._begin(client, request, library, asynchronous=True)
            if attempt is None:
                return await original(client, request, **kwargs)
            stream = bool(kwargs.get("stream"))
            try:
                response = None
                if attempt.is_on_tape and not client.is_closed:
                    await request.aread()
                    response = attempt.replay(stream=stream)
                    for hook, value in _user_hooks(client, request, response):
                        await hook(value)
                if response is None:
                    response = await original(client, request, **kwargs)
            except BaseException as exc:
                with suppress(Exception):
                    attempt.raised(exc)
                raise
            with suppress(Exception):
                attempt.returned(response, stream=stream)
            return response

        return send


def current_price(model: str, usage: Usage) -> float | None:
    """Return what a usage costs in USD as the capture that is installed has it; None without one."""
    return _installed[-1].price(model, usage) if _installed else None


def _user_hooks(client: Any, request: Any, response: Any) -> list[tuple[Callable[[Any], Any], Any]]:
    """Return the client's own event hooks, with what each is called with; none without a replayed answer."""
    if response is None:
        return []
    hooks = client.event_hooks
    return [(hook, request) for hook in hooks["request"]] + [(hook, response) for hook in hooks["response"]]
