"""One request and its answer, within limits of time and size: when it is sent again, and after how long."""

from __future__ import annotations

import email.utils
import json
import os
import random
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx

from . import CallFailed, Failure, Reason, Timeouts, error_text, one_line
from .connections import is_visible_ascii

MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.5
_LONGEST_WAIT_S = 86_400.0
# Of its own: drawing from the global generator would shift what a test with a seed draws.
_RANDOM = random.SystemRandom()

_attempts: ContextVar[int] = ContextVar("kaizen_attempts", default=MAX_ATTEMPTS)
_given_key: ContextVar[str | None] = ContextVar("kaizen_idempotency_key", default=None)

#: A longer answer, decompressed, is refused: none that a platform promises comes near it.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_LONGEST_ERROR_TEXT = 400
_QUOTED = 2000


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
        content: The body.
        once: It starts work that is paid for, or adds to what is there: a server that does not know
            ``Idempotency-Key`` would do so twice.
        idempotency_key: Set for a POST, the same for each attempt.
        content_type: What the body is.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    once: bool = False
    idempotency_key: str | None = None
    content_type: str = "application/json"

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


@dataclass(frozen=True)
class Answer:
    """What a server sent.

    Attributes:
        where: The request, for messages: ``GET http://localhost:8000/api/v1/tasks``.
        text: The body; empty when there was none.
        hide: Takes secrets out of a text.
    """

    where: str
    status: int
    content_type: str
    text: str
    hide: Callable[[str], str]

    def json(self) -> Any:
        """Return the body's JSON; ``{}`` for no body.

        Raises:
            CallFailed: It is no JSON; the failure says what it is.
        """
        if not self.text.strip():
            return {}
        value = parsed_json(self.text)
        if value is None and self.text.strip() != "null":
            quoted = one_line(self.hide(self.text)[:_QUOTED])
            promised = f"{self.content_type or 'no content type'} where JSON was promised"
            message = f"{self.where}: {self.status} with {promised}: {quoted!r}"
            raise CallFailed(Failure(Reason.NOT_JSON, message, self.status, transient=True))
        return value


@dataclass(frozen=True)
class Exchange:
    """Sends requests over one HTTP client.

    Attributes:
        connected: Returns the HTTP client, which has the key; another one after a close in between.
        base_url: Without a slash at its end.
        hide: Takes the key out of a text.
    """

    connected: Callable[[], httpx.AsyncClient]
    base_url: str
    timeouts: Timeouts
    hide: Callable[[str], str]

    async def send(self, call: Call) -> Answer:
        """Send a request, again where that helps and harms nobody, and return the successful answer.

        Raises:
            CallFailed: There is none.
        """
        last: Failure | None = None
        deadline = anyio.current_time() + self.timeouts.total
        attempt = 1
        try:
            with anyio.fail_after(self.timeouts.total):
                while True:
                    try:
                        return await self._attempt(call)
                    except CallFailed as exc:
                        last = exc.failure
                        pause = pause_s(attempt, last.retry_after)
                        again = last.transient and (call.repeatable or last.untouched)
                        if not again or attempt >= max_attempts() or anyio.current_time() + pause > deadline:
                            raise
                    await anyio.sleep(pause)
                    attempt += 1
        except TimeoutError:
            before = f" (before that: {last.message})" if last else ""
            raise CallFailed(
                Failure(
                    Reason.TIMEOUT,
                    f"{self._where(call)}: no whole answer within {self.timeouts.total:g} s{before}",
                    transient=True,
                )
            ) from None

    async def _attempt(self, call: Call) -> Answer:
        headers = {"Accept": "application/json"}
        if call.content is not None:
            headers["Content-Type"] = call.content_type
        if call.idempotency_key is not None:
            headers["Idempotency-Key"] = call.idempotency_key
        http = self.connected()
        request = http.build_request(
            call.method, self.base_url + call.path, params=call.params, content=call.content, headers=headers
        )
        try:
            # A redirect would take the key to wherever the answer says.
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                text = await self._text(call, response)
            finally:
                await response.aclose()
        except httpx.HTTPError as exc:
            raise CallFailed(self._broken(call, exc)) from None
        if not response.is_success:
            raise CallFailed(self._refused(call, response, self.hide(text)))
        content_type = response.headers.get("Content-Type", "")
        return Answer(self._where(call), response.status_code, content_type, text, self.hide)

    async def _text(self, call: Call, response: httpx.Response) -> str:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise CallFailed(
                    Failure(
                        Reason.NOT_JSON,
                        f"{self._where(call)}: the answer is longer than {MAX_ANSWER_BYTES >> 20} MiB",
                        response.status_code,
                    )
                )
        return body.decode("utf-8", "replace")

    def _broken(self, call: Call, exc: httpx.HTTPError) -> Failure:
        if isinstance(exc, httpx.TimeoutException):
            connecting = isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout)
            what = (
                f"no connection within {self.timeouts.connect:g} s"
                if connecting
                else f"no answer within {self.timeouts.read:g} s"
            )
            return Failure(
                Reason.TIMEOUT, f"{self._where(call)}: {what}", transient=True, untouched=connecting
            )
        said = one_line(self.hide(_root_cause(exc)))
        broke = "cannot connect" if isinstance(exc, httpx.ConnectError) else "the connection broke"
        return Failure(
            Reason.CONNECTION,
            f"{self._where(call)}: {broke}: {said}",
            transient=not isinstance(exc, httpx.UnsupportedProtocol | httpx.LocalProtocolError),
            untouched=isinstance(exc, httpx.ConnectError),
        )

    def _refused(self, call: Call, response: httpx.Response, text: str) -> Failure:
        status = response.status_code
        where = f"{self._where(call)}: {status}"
        if response.is_redirect:
            target = self.hide(one_line(response.headers.get("Location", "nowhere").partition("?")[0]))
            said = f"a redirect to {target}, which is not followed with a key; set the base URL to its goal"
            return Failure(Reason.STATUS, f"{where}: {said}", status)
        body = parsed_json(text)
        said = one_line(error_text(body), _LONGEST_ERROR_TEXT) or one_line(text) or response.reason_phrase
        return Failure(
            Reason.STATUS,
            f"{where}: {said}",
            status,
            body=body,
            transient=status == 429 or status >= 500,
            untouched=status == 429,
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
        )

    def _where(self, call: Call) -> str:
        return f"{call.method} {self.base_url}{call.path}"


def _root_cause(exc: BaseException) -> str:
    """Return what the system said, which httpx and anyio wrap in "All connection attempts failed"."""
    said = type(exc).__name__
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        # asyncio's own text for a refused connection does not say that it was refused.
        refused = isinstance(cause, ConnectionError) and cause.errno
        said = os.strerror(refused) if refused else str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said


def parsed_json(text: str) -> Any:
    """Return what a JSON text says; None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
