"""How any place is asked that traces are imported from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from ...errors import PlatformError
from ...platforms import error_text, one_line
from ...platforms.connections import pinned_client
from ...platforms.exchange import MAX_ANSWER_BYTES, parse_retry_after, pause_s
from .source import Connection

_TIMEOUT_S = 60.0
#: Seconds for a whole answer, so that one that drips in holds nobody up.
_WHOLE_S = 300.0
#: A server that asks for more patience fails the request; whoever asked comes back later.
_LONGEST_PAUSE_S = 60.0
_SHOWN = 300
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


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
        self._http = pinned_client(allow_private=connection.allow_private, timeout_s=_TIMEOUT_S)

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
