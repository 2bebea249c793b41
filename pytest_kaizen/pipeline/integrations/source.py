"""What a place is that traces are imported from, and how any of them is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import httpx

from ...capture.build import Price
from ...errors import PlatformError
from ...models import Trace
from ...platforms.base.exchange import MAX_ANSWER_BYTES
from ...platforms.base.failure import error_text, one_line
from ...platforms.base.outgoing import client
from ...platforms.base.retry import parse_retry_after, pause_s

_TIMEOUT_S = 60.0
#: Seconds for a whole answer, so that one that drips in holds nobody up.
_WHOLE_S = 300.0
#: How often a request is made that fails for a reason that may pass.
ATTEMPTS = 5
#: A server that asks for more patience fails the request; whoever asked comes back later.
_LONGEST_PAUSE_S = 60.0
_SHOWN = 300
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Connection(NamedTuple):
    """What is needed to ask a source.

    Attributes:
        url: Its base address.
        headers: Sent with every request; the credentials are among them.
        secret: What no message may quote.
        allow_private: Whether it may be in a private network.
        price: What a call costs that does not say so.
        attempts: How often a request is made that fails for a reason that may pass.
    """

    url: str
    headers: Mapping[str, str]
    secret: str | None
    allow_private: bool
    price: Price
    attempts: int = ATTEMPTS

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"


class Project(NamedTuple):
    """What holds traces there: an experiment, a project."""

    id: str
    name: str


class Checked(NamedTuple):
    """What a look at a source found.

    Attributes:
        version: Of its software, where it says so.
        experiments: How many there are, where they are called so.
    """

    version: str | None = None
    experiments: int | None = None


class Page(NamedTuple):
    """Some traces of a project.

    Attributes:
        traces: With ids that are the same whenever they are fetched.
        cursor: What the next page follows; None after the last one.
        left_out: Of each trace that cannot be read, which it is and why.
    """

    traces: list[Trace]
    cursor: str | None
    left_out: list[str]


class Source(Protocol):
    """A place that traces are imported from; one implementation per file, listed in ``settings.KNOWN``.

    All methods raise ``PlatformError`` when it cannot be asked or does not answer as its documentation says.
    """

    def check(self) -> Checked:
        """See whether it is there and lets us in."""

    def project(self, name: str) -> Project | None:
        """Find a project by its name or id; None when there is none."""

    def projects(self) -> list[Project]:
        """Return the projects, some hundreds at most."""

    def page(self, project: Project, *, since: datetime | None, cursor: str | None, size: int) -> Page:
        """Fetch traces, the newest first.

        Args:
            project: Of which project.
            since: Only those begun since then.
            cursor: What they follow; None for the first page.
            size: About so many.
        """

    def close(self) -> None:
        """Close the connections."""


class Remote:
    """Asks a source over HTTP, again where that helps.

    Args:
        name: Its name, for messages.
        connection: Where it is and who asks.
        sleep: Waits some seconds.
    """

    def __init__(
        self, name: str, connection: Connection, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._name = name
        self._connection = connection
        self._sleep = sleep
        self._http = client(allow_private=connection.allow_private, timeout_s=_TIMEOUT_S)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, {self._connection!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        read: Callable[[bytes], Any] = json.loads,
        again: bool = True,
    ) -> Any:
        """Make a request that changes nothing there, and return what its answer holds.

        Args:
            method: The HTTP method.
            path: Below the base address.
            params: The query.
            body: What is sent, as JSON.
            read: Reads the answer's body; raises ``ValueError`` where it is not as it must be.
            again: Whether a failure that may pass is a reason to try again.

        Raises:
            PlatformError: There is no such answer; ``status_code`` says what there was.
        """
        where = f"{self._name}: {method} {self._connection.url}{path}"
        sent = None if body is None else json.dumps(body).encode()
        attempts = self._connection.attempts if again else 1
        for attempt in range(1, attempts + 1):
            try:
                answer, came = self._once(where, method, path, params, sent)
                return self._understood(where, answer, came, read)
            except PlatformError as exc:
                pause = pause_s(attempt, exc.retry_after)
                if not exc.transient or attempt == attempts or pause > _LONGEST_PAUSE_S:
                    raise
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, where: str, method: str, path: str, params: Mapping[str, Any] | None, sent: bytes | None
    ) -> tuple[httpx.Response, bytes]:
        headers = {"Accept": "application/json", **self._connection.headers}
        if sent is not None:
            headers["Content-Type"] = "application/json"
        url = self._connection.url + path
        try:
            with self._http.stream(method, url, params=params, headers=headers, content=sent) as answer:
                return answer, _read(where, answer)
        except httpx.TimeoutException:
            raise PlatformError(f"{where}: no answer in time", transient=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            said = one_line(self._hidden(str(exc))) or type(exc).__name__
            raise PlatformError(f"{where}: {said}", transient=isinstance(exc, httpx.TransportError)) from None

    def _understood(
        self, where: str, answer: httpx.Response, came: bytes, read: Callable[[bytes], Any]
    ) -> Any:
        try:
            value = read(came)
        except (ValueError, RecursionError):
            value = None
        if answer.is_success and value is not None:
            return value
        raise self._failure(where, answer, came, value)

    def _failure(self, where: str, answer: httpx.Response, came: bytes, value: Any) -> PlatformError:
        status = answer.status_code
        if answer.is_success:
            said = f"no JSON but {came[:_SHOWN].decode('utf-8', 'replace')!r}"
        elif answer.is_redirect:
            said = "a redirect, which is not followed; give the address that it leads to"
        else:
            said = error_text(value) or answer.reason_phrase
        said = one_line(self._hidden(said), _SHOWN)
        return PlatformError(
            f"{where}: {status}: {said}",
            status,
            transient=status in _TRANSIENT,
            retry_after=parse_retry_after(answer.headers.get("retry-after")),
        )

    def _hidden(self, text: str) -> str:
        secret = self._connection.secret
        return text.replace(secret, "[secret]") if secret else text


def _read(where: str, answer: httpx.Response) -> bytes:
    content = bytearray()
    until = time.monotonic() + _WHOLE_S
    for chunk in answer.iter_bytes():
        content += chunk
        if time.monotonic() > until:
            raise PlatformError(f"{where}: no whole answer within {_WHOLE_S:g} s", transient=True)
        if len(content) > MAX_ANSWER_BYTES:
            raise PlatformError(f"{where}: the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Raise what comes of an answer that is not as documented as what it is.

    Raises:
        PlatformError: As said.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        said = one_line(f"{type(exc).__name__}: {exc}", _SHOWN)
        raise PlatformError(f"{name}: an answer is not as its documentation says ({said})") from None


def moment(value: Any) -> datetime | None:
    """Read a time in ISO 8601; one without a zone is in UTC, and None stands for what is no time."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
