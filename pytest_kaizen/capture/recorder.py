"""The recorder of one sample, which is current in a context, and who waits there to see a call."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from ..models import Message, Part, Span, SpanKind, new_span_id
from .wire import describe

if TYPE_CHECKING:
    from .cassettes import Tape

_listeners: list[Callable[[], None]] = []
_watches: ContextVar[tuple[Watch, ...]] = ContextVar("kaizen_watches", default=())

T = TypeVar("T")

_place: ContextVar[Place | None] = ContextVar("kaizen_place", default=None)
_kind: ContextVar[SpanKind] = ContextVar("kaizen_kind", default=SpanKind.LLM)


class Watch:
    """Waits for a call that starts below.

    Attributes:
        seen: A call that has a span of its own started in this watch's context.
    """

    def __init__(self) -> None:
        self.seen = False


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


class Place(NamedTuple):
    """Where the spans of a context belong: to a recorder, and there under a span."""

    recorder: Recorder
    span_id: str | None


class OpenSpan(Protocol):
    """A span whose end has not come yet."""

    def abandon(self) -> Span | None:
        """Make the span of what is known by now; None when it ended in the meantime."""
        ...


@dataclass
class SpanHandle:
    """What ``Recorder.span`` yields: the user may set any of these before the block ends.

    Attributes:
        input: What the step was given: text, messages, or anything that JSON can hold.
        output: What came of it, likewise.
        metadata: What else is worth keeping.
    """

    input: Any = None
    output: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Collects the spans of one sample; safe to use from several threads.

    Attributes:
        secrets: The credentials of the requests seen, for ``Redactor.learn``.
        tape: What calls are replayed from and recorded to; None while they are neither.
    """

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.tape: Tape | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._ended: dict[int, Span] = {}
        self._unmade: dict[int, Callable[[], Span]] = {}
        self._open: dict[int, OpenSpan] = {}
        self._resumable: dict[int, OpenSpan] = {}

    @property
    def spans(self) -> list[Span]:
        """The spans that have ended, in the order of their start."""
        with self._lock:
            unmade = list(self._unmade.items())
        for number, make in unmade:
            # Not under the lock: the price of a call may be found by code that makes calls of its own.
            span = make()
            with self._lock:
                # What goes on meanwhile, or was made by another thread, is not there any more.
                if self._unmade.get(number) is make:
                    del self._unmade[number]
                    self._ended[number] = span
        with self._lock:
            return [self._ended[number] for number in sorted(self._ended)]

    @contextmanager
    def span(self, name: str, kind: SpanKind = SpanKind.TOOL) -> Iterator[SpanHandle]:
        """Record a step of the user's own around a block of code.

        Spans and LLM calls that start within the block, also in its threads and tasks, become its
        children. An exception that leaves the block is the span's error, and goes on.

        Args:
            name: What the step is called.
            kind: What it stands for.

        Yields:
            The handle on which input, output and metadata may be set.
        """
        place = _place.get()
        step = _Step(name, kind, place.span_id if place and place.recorder is self else None)
        number = self.start(step)
        try:
            with _Set(_place, Place(self, step.span_id), step.handle) as handle:
                yield handle
        except BaseException as exc:
            step.error = describe(exc)
            raise
        finally:
            span = step.end()
            if span is not None:
                self.end(number, span)

    def close(self) -> list[Span]:
        """Make spans of all that is still open, and return every span in the order of its start.

        A stream that was read in part ends here with what came of it. What starts later is
        recorded still, and is in the answer of a later ``close``.
        """
        with self._lock:
            left = list(self._open.items())
        for number, entry in left:
            span = entry.abandon()
            if span is not None:
                self.end(number, span)
        return self.spans

    def start(self, entry: OpenSpan) -> int:
        """Take note of a span that starts; return its number, by which spans are ordered."""
        with self._lock:
            number = next(self._numbers)
            self._open[number] = entry
        return number

    def end(self, number: int, span: Span | Callable[[], Span], *, resumable: OpenSpan | None = None) -> None:
        """Keep the span of something that ended.

        Args:
            number: What ``start`` returned.
            span: The span, or what makes it, without fail, when the spans are first asked for.
            resumable: What may still go on, and so must live as long as the recorder does.
        """
        with self._lock:
            self._open.pop(number, None)
            if callable(span):
                self._unmade[number] = span
            else:
                self._ended[number] = span
            if resumable is not None:
                self._resumable[number] = resumable

    def forget(self, number: int) -> None:
        """Drop something that was started and has no span of its own."""
        with self._lock:
            self._open.pop(number, None)

    def resume(self, number: int, entry: OpenSpan) -> None:
        """Take note that something that had ended goes on, as a call does that is tried again."""
        with self._lock:
            self._ended.pop(number, None)
            self._unmade.pop(number, None)
            self._resumable.pop(number, None)
            self._open[number] = entry


class _Step:
    """A span of the user's own while its block runs."""

    def __init__(self, name: str, kind: SpanKind, parent_id: str | None) -> None:
        self.handle = SpanHandle()
        self.span_id = new_span_id()
        self.error: str | None = None
        self._name = name
        self._kind = kind
        self._parent_id = parent_id
        self._started_at = datetime.now(UTC)
        self._clock = time.perf_counter()
        self._lock = threading.Lock()
        self._ended = False

    def abandon(self) -> Span | None:
        self.handle.metadata["complete"] = False
        return self.end()

    def end(self) -> Span | None:
        with self._lock:
            if self._ended:
                return None
            self._ended = True
        output_role = "tool" if self._kind is SpanKind.TOOL else "assistant"
        return Span(
            id=self.span_id,
            parent_id=self._parent_id,
            name=self._name,
            kind=self._kind,
            input=messages_of(self.handle.input, "user"),
            output=messages_of(self.handle.output, output_role),
            started_at=self._started_at,
            latency_ms=(time.perf_counter() - self._clock) * 1000,
            error=self.error,
            metadata={str(key): value for key, value in self.handle.metadata.items()},
        )


def messages_of(value: Any, role: str) -> list[Message]:
    """Make messages of whatever a step was given, or came to: one of text unless it is messages."""
    if value is None:
        return []
    if isinstance(value, Message):
        return [value]
    if isinstance(value, Sequence) and value and all(isinstance(item, Message) for item in value):
        return list(value)
    return [Message(role=role, parts=[Part(type="text", content=_text(value))])]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def recording(recorder: Recorder) -> AbstractContextManager[Recorder]:
    """Make a recorder the current one in this context, and in the threads and tasks started in it."""
    return _Set(_place, Place(recorder, None), recorder)


def spans_are(kind: SpanKind) -> AbstractContextManager[SpanKind]:
    """Give the LLM calls of this context another kind: ``JUDGE`` for those of the judge."""
    return _Set(_kind, kind, kind)


def current_place() -> Place | None:
    """Return where spans that start now belong; None where nothing is recorded."""
    return _place.get()


def current_kind() -> SpanKind:
    """Return the kind of LLM calls that start now."""
    return _kind.get()


def current_recorder() -> Recorder | None:
    """Return the recorder that is current in this context."""
    place = _place.get()
    return place.recorder if place else None


class _Set(AbstractContextManager[T]):
    """Gives a context variable a value for the length of a block; a generator would take thrice as long."""

    __slots__ = ("_given", "_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[Any], value: object, given: T) -> None:
        self._variable = variable
        self._value = value
        self._given = given

    def __enter__(self) -> T:
        self._token = self._variable.set(self._value)
        return self._given

    def __exit__(self, *exc_info: object) -> None:
        # A fixture's two halves may run in different contexts; the second has nothing to undo.
        with suppress(ValueError):
            self._variable.reset(self._token)
