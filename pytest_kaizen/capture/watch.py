"""Whether a call that is watched from above is seen further down, so that it is counted once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Watch:
    """Waits for a call that starts below.

    Attributes:
        seen: A call that has a span of its own started in this watch's context.
    """

    def __init__(self) -> None:
        self.seen = False


_watches: ContextVar[tuple[Watch, ...]] = ContextVar("kaizen_watches", default=())


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Watch what starts in this context, and in the threads and tasks started in it."""
    token = _watches.set((*_watches.get(), watch))
    try:
        yield
    finally:
        _watches.reset(token)


def call_seen() -> None:
    """Tell all watches of this context that a call has a span of its own."""
    for watch in _watches.get():
        watch.seen = True
