"""When a call is made again, and after how long."""

from __future__ import annotations

import email.utils
import random
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .key import is_visible_ascii

MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.5
_LONGEST_WAIT_S = 86_400.0
# Of its own: drawing from the global generator would shift what a test with a seed draws.
_RANDOM = random.SystemRandom()

_attempts: ContextVar[int] = ContextVar("kaizen_attempts", default=MAX_ATTEMPTS)
_given_key: ContextVar[str | None] = ContextVar("kaizen_idempotency_key", default=None)


@contextmanager
def idempotency_key(key: str) -> Generator[None]:
    """Send this ``Idempotency-Key`` with the call made in the block, instead of a random one.

    A call that is made again later, by another process perhaps, then counts once on a server that
    honours the header. One call for each block: a key belongs to one request.

    Raises:
        ValueError: No header can hold the key.
    """
    if not is_visible_ascii(key):
        raise ValueError(f"an idempotency key is visible ASCII without blanks (found {key!r})")
    token = _given_key.set(key)
    try:
        yield
    finally:
        _given_key.reset(token)


@contextmanager
def single_attempt() -> Generator[None]:
    """Make the calls in the block once each: for a caller that knows itself when to come back."""
    token = _attempts.set(1)
    try:
        yield
    finally:
        _attempts.reset(token)


def max_attempts() -> int:
    """Return how often a call may be made."""
    return _attempts.get()


def new_idempotency_key() -> str:
    """Return the key given by ``idempotency_key``, else a random one."""
    return _given_key.get() or str(uuid.uuid4())


@dataclass(frozen=True)
class Call:
    """One request, as often as it is sent.

    Attributes:
        path: Below the base URL, percent-encoded, starting with a slash.
        content: The JSON body.
        once: It starts work that is paid for, or adds to what is there: a server that does not know
            ``Idempotency-Key`` would do so twice.
        idempotency_key: Set for a POST, the same for each attempt.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    once: bool = False
    idempotency_key: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again after the server had it: once and twice come to the same."""
        return self.method != "POST" or (self.idempotency_key is not None and not self.once)


def pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after an attempt, counted from 1.

    ``Retry-After`` is the least; else the pause doubles with each attempt. A part of it is random,
    so that clients which failed together do not come back together.
    """
    if retry_after_s is not None:
        return retry_after_s * _RANDOM.uniform(1.0, 1.1)
    return _FIRST_PAUSE_S * 2.0 ** (attempt - 1) * _RANDOM.uniform(0.5, 1.0)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header: seconds or a date. None when there is none or it is neither.

    A day is the most, so that no server puts a client off for good.

    Args:
        value: The header.
        now: The time that a date is compared with.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_WAIT_S)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), _LONGEST_WAIT_S)
