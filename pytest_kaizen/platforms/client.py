"""The base of all clients: what a platform needs to be spoken to, and how a call becomes a result.

A method is written once, and waited for in one client, awaited in the other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, overload
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from ..errors import PlatformError
from . import (
    CallFailed,
    Failure,
    Reason,
    Timeouts,
    WireList,
    WireModel,
    as_timeouts,
    one_line,
    validation_text,
)
from .connections import (
    BACKGROUND,
    ApiKey,
    certificates,
    close_of,
    connections_of,
    is_visible_ascii,
    user_agent,
)
from .exchange import Answer, Call, Exchange, new_idempotency_key

P = ParamSpec("P")
T = TypeVar("T")

M = TypeVar("M", bound=BaseModel)

_LONGEST_PROBLEM = 400


class Waits:
    """Marks the clients whose methods return when the work is done."""


class Awaits:
    """Marks the clients whose methods are awaited."""


class Twin(Generic[P, T]):
    """A method that is written once, with ``async def``, and belongs to both kinds of client.

    Arguments, their types and the result are seen by type checkers and editors as those of an
    ordinary method of either client.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        @functools.wraps(function)
        def waiting(client: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            return BACKGROUND.run(function(client, *args, **kwargs))

        self._awaited = function
        self._waiting = waiting
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, client: Waits, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaits, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    def __get__(self, client: Any, owner: type) -> Callable[..., Any]:
        function: Any = self._waiting if issubclass(owner, Waits) else self._awaited
        method: Callable[..., Any] = function if client is None else function.__get__(client, owner)
        return method


class PlatformClient:
    """What the client of any platform is made of.

    A platform's methods stand in a subclass, each written once as a ``Twin``; ``SyncClient`` and
    ``AsyncClient`` say whether they are waited for or awaited.

    Args:
        api_key: The key; from the environment when not given.
        base_url: Where the platform is; from the environment when not given, else its default.
        timeout: Seconds that a call may take in all, or its limits one by one.
        transport: How requests travel, for a proxy or certificates of your own.

    Raises:
        PlatformError: There is no key, or key, URL or timeout cannot be right.
    """

    platform: ClassVar[str]
    key_variable: ClassVar[str]
    url_variable: ClassVar[str]
    default_url: ClassVar[str]
    key_header: ClassVar[tuple[str, str]] = ("X-API-Key", "")
    #: Without it, only a key that is given is sent, and none of the environment's.
    needs_key: ClassVar[bool] = True

    def __init__(
        self,
        api_key: str | None,
        base_url: str | None,
        timeout: float | Timeouts,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._base_url = self._checked_url(base_url or os.environ.get(self.url_variable) or self.default_url)
        known = os.environ.get(self.key_variable) if self.needs_key else None
        self._key = self._checked_key(api_key or known)
        try:
            self._timeouts = as_timeouts(timeout)
        except ValueError as exc:
            raise self._not_sent(str(exc)) from None
        self._transport = transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._base_url!r})"

    @property
    def base_url(self) -> str:
        """Where the platform is, without a slash at the end."""
        return self._base_url

    def _error(self, failure: Failure) -> PlatformError:
        """Make the platform's own error of a failure."""
        return PlatformError(
            failure.message,
            failure.status_code,
            failure.body,
            transient=failure.transient,
            retry_after=failure.retry_after,
        )

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        reads: type[M],
        params: Mapping[str, object] | None = None,
        body: WireModel | WireList[Any] | None = None,
        file: tuple[str, bytes] | None = None,
        once: bool = False,
    ) -> M:
        """Make a call as ``_send`` does and return its answer as the model ``reads``."""
        answer = await self._send(method, path, params=params, body=body, file=file, once=once)
        return self._read(answer, reads)[0]

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: WireModel | WireList[Any] | None = None,
        file: tuple[str, bytes] | None = None,
        once: bool = False,
    ) -> Answer:
        """Make a call and return its answer as it came.

        Args:
            method: The HTTP method.
            path: Below the base URL, encoded (see ``_path``).
            params: The query; None values are left out.
            body: The JSON body.
            file: In its place, a file to upload: its name and content, the field ``file`` of a form.
            once: Twice is not the same as once (see ``Call``).

        Raises:
            PlatformError: As the class that the platform's ``_error`` makes.
        """

        def hide(text: str) -> str:
            for secret in secrets:
                text = text.replace(secret, "[secret]")
            return self._key.hide_in(text)

        secrets = body.secrets if isinstance(body, WireModel) else []
        query = {name: str(value) for name, value in (params or {}).items() if value is not None}
        key = new_idempotency_key() if method == "POST" else None
        call = Call(method, path, query, self._content(body), once, key)
        if file is not None:
            form = httpx.Request("POST", self._base_url, files={"file": file})
            call = replace(call, content=form.read(), content_type=form.headers["Content-Type"])
        exchange = Exchange(self._connected, self._base_url, self._timeouts, hide)
        try:
            return await exchange.send(call)
        except CallFailed as exc:
            raise self._error(exc.failure) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise self._not_sent(f"{method} {path[:80]!r} is no URL with its query: {exc}") from None

    def _read(self, answer: Answer, reads: type[M]) -> tuple[M, Any]:
        """Return an answer as its model and as the JSON that it came as."""
        try:
            raw = answer.json()
            return reads.model_validate(raw), raw
        except CallFailed as exc:
            raise self._error(exc.failure) from None
        except ValidationError as exc:
            said = one_line(answer.hide(validation_text(exc)), _LONGEST_PROBLEM)
            problem = f"{answer.status} with JSON that is no {reads.__name__}: {said}"
            failure = Failure(Reason.NOT_JSON, f"{answer.where}: {problem}", answer.status)
            raise self._error(failure) from None

    def _body(self, model: type[M], /, **values: Any) -> M:
        """Make the body of a request.

        Raises:
            PlatformError: A value cannot be right; nothing was sent.
        """
        try:
            return model.model_validate(values)
        except ValidationError as exc:
            raise self._not_sent(validation_text(exc)) from None

    def _path(self, template: str, *ids: object) -> str:
        """Put ids into a path, encoded so that each stays one segment.

        Raises:
            PlatformError: An id is empty or a relative path, which would lead to another resource.
        """
        for part in ids:
            if str(part) in ("", ".", ".."):
                raise self._not_sent(
                    f"{str(part)!r} is not an id (for {template.format(*['ID'] * len(ids))})"
                )
        return template.format(*(quote(str(part), safe="", errors="replace") for part in ids))

    def _not_sent(self, problem: str) -> PlatformError:
        return self._error(Failure(Reason.NOT_SENT, f"{self.platform}: not sent: {problem}"))

    def _content(self, body: WireModel | WireList[Any] | None) -> bytes | None:
        if body is None:
            return None
        try:
            return body.to_bytes()
        except ValueError as exc:
            raise self._not_sent(f"the body cannot be written as JSON: {exc}") from None

    def _connected(self) -> httpx.AsyncClient:
        try:
            return connections_of(self, self._connect)
        except (OSError, ValueError, ImportError) as exc:
            # What the environment says of proxies and certificates, which httpx reads, is wrong.
            said = one_line(self._key.hide_in(str(exc)), 200)
            raise self._not_sent(f"the environment's proxy or certificates: {said}") from None

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            auth=self._key,
            headers={"User-Agent": user_agent()},
            timeout=httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect),
            transport=self._transport,
            verify=certificates(),
        )

    def _checked_key(self, key: str | None) -> ApiKey:
        key = (key or "").strip()
        if not key and not self.needs_key:
            return ApiKey("", *self.key_header)
        if not key:
            problem = f"{self.platform}: no key: give api_key, or set {self.key_variable} in the environment"
            raise self._error(Failure(Reason.NO_KEY, problem))
        if not is_visible_ascii(key):
            raise self._not_sent("the key has blanks or characters outside ASCII, which no key has")
        return ApiKey(key, *self.key_header)

    def _checked_url(self, text: str) -> str:
        try:
            url = httpx.URL(text.strip())
        except httpx.InvalidURL as exc:
            said = "" if "@" in text else f" ({exc})"
            raise self._not_sent(f"the base URL is no URL{said}") from None
        if url.userinfo or url.query or url.fragment:
            raise self._not_sent("the base URL may hold no user, password, query or fragment")
        if url.scheme not in ("http", "https") or not url.host:
            shown = text.rpartition("@")[2]
            raise self._not_sent(f"the base URL must start with http:// or https:// (found {shown!r})")
        return str(url).rstrip("/")


class SyncClient(PlatformClient, Waits):
    """A client whose methods return when the work is done; from any thread, also beside a running loop."""

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        BACKGROUND.run(close_of(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(PlatformClient, Awaits):
    """A client whose methods are awaited, under asyncio or trio."""

    async def close(self) -> None:
        """Close the connections that the running loop has; a later call opens new ones."""
        await close_of(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
