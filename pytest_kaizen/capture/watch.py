"""Whether a call that is watched from above is seen further down, so that it is counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar


class Watch:
    """Waits for a call that starts below.

    Attributes:
        seen: A call that has a span of its own started in this watch's context.
    """

    def __init__(self) -> None:
        self.seen = False


_listeners: list[Callable[[], None]] = []
_watches: ContextVar[tuple[Watch, ...]] = ContextVar("kaizen_watches", default=())


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Watch what starts in this context, and in the threads and tasks started in it."""
    token = _watches.set((*_watches.get(), watch))
    try:
        yield
    finally:
        _watches.reset(token)


def listen(listener: Callable[[], None]) -> None:
    """Have something called, in the context of each call, when that has a span of its own."""
    _listeners.append(listener)


def forget_listener(listener: Callable[[], None]) -> None:
    """Undo ``listen``; a second time does nothing."""
    with suppress(ValueError):
        _listeners.remove(listener)


def call_seen() -> None:
    """Tell all watches of this context, and all listeners, that a call has a span of its own."""
    for watch in _watches.get():
        watch.seen = True
    for listener in tuple(_listeners):
        with suppress(Exception):
            listener()
