"""One operation of the server: what a row of its table says, and what a handler is called with.

The table is the only place that says which operations there are. Routing, keys, limits, parsing, the
OpenAPI document and the tests that walk every operation are made from it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property, partial
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from ..errors import ConfigError
from ..platforms import WireList, WireModel
from ..store import Store
from ..store.central import Scope as KeyScope
from ..store.intake import Answered, KeyReused
from ..store.workspaces import OpenWorkspace
from .problem import Refusal
from .state import Grant, State

T = TypeVar("T")
Handler = Callable[..., Any]
Answer = WireModel | WireList[Any]
A = TypeVar("A", bound=Answer)
JSON = "application/json"
#: For so long a request that is sent again is known.
_KEPT_FOR = timedelta(days=1)
_OWN_PARAMETERS = ("return", "call", "body", "query")


class Access(Enum):
    """Who may use an operation."""

    PUBLIC = "anyone"
    READ = KeyScope.READ
    WRITE = KeyScope.WRITE
    ADMIN = KeyScope.ADMIN
    LOCAL = "this machine, or a key with the scope admin"


class KeyHeader(Enum):
    """Which headers hold our key: on the proxy's paths the usual two are the provider's."""

    USUAL = ("X-API-Key", "Authorization")
    OWN = ("X-Kaizen-Key",)


@dataclass(frozen=True)
class Call:
    """A request that is let in.

    Attributes:
        grant: What its key may do, and where; None for an operation that needs no key.
        state: What the server keeps for all requests.
        scope: The ASGI scope.
        status: Of the answer when it is done.
        content: The body as it came.
    """

    grant: Grant | None
    state: State
    scope: Scope
    status: int = 200
    content: bytes = b""

    @property
    def headers(self) -> Headers:
        """The request's headers."""
        return Headers(scope=self.scope)

    @property
    def workspace(self) -> OpenWorkspace:
        """The workspace of its key.

        Raises:
            LookupError: The operation needs no key.
        """
        if self.grant is None:
            raise LookupError("an operation without a key has no workspace")
        return self.grant.workspace

    @property
    def store(self) -> Store:
        """The store of its workspace, to read; what is written goes through ``write``."""
        return self.workspace.store

    async def write(self, work: Callable[[Store], T]) -> T:
        """Do work on the store of its workspace; see ``GroupWriter.submit``.

        Raises:
            Refusal: It is given a secret, and this server has no key to encrypt it with (503).
        """
        try:
            return await self.workspace.writer.submit(work)
        except ConfigError as exc:
            raise Refusal.of_secret_key(exc) from None

    async def elsewhere(self, work: Callable[[], T]) -> T:
        """Do work that waits for servers elsewhere, in a thread that nothing else needs.

        Raises:
            Refusal: Too many requests are waiting, of the workspace (429) or of all (503).
        """
        return await self.state.elsewhere.run(self.workspace.id, work)

    async def once(self, work: Callable[[Store], A]) -> A | ASGIApp:
        """Do work as ``write`` does; of a request with an ``Idempotency-Key`` that was done, give the answer.

        Raises:
            Refusal: The key came with another request before (422).
        """
        given = self.headers.get("idempotency-key")
        if not given:
            return await self.write(work)
        return await self.write(partial(self._kept, given, self._digest(), work))

    def _kept(self, given: str, request: str, work: Callable[[Store], A], store: Store) -> ASGIApp:
        now = datetime.now(UTC)

        def done() -> Answered:
            return Answered(request, self.status, work(store).to_bytes().decode())

        try:
            answer = store.idempotency.once(given, request, now=now, expires_at=now + _KEPT_FOR, work=done)
        except KeyReused as exc:
            raise Refusal(422, str(exc), code="IDEMPOTENCY_KEY_REUSED") from None
        return Response(answer.body, answer.status, media_type=JSON)

    def _digest(self) -> str:
        target = f"{self.scope['method']} {self.scope['path']}?".encode() + self.scope["query_string"]
        return hashlib.sha256(target + b"\n" + self.content).hexdigest()


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    The handler's signature says the rest. ``call`` is the ``Call``; ``body`` a model of the JSON body,
    or ``bytes`` for the body as it came; ``query`` a model of the query; others are the path's
    parameters. It returns a model, None, or an ASGI application that answers by itself. A handler
    that is no coroutine function runs in a thread.

    Attributes:
        method: The HTTP method.
        path: With parameters as ``{name}``, without a slash at its end.
        access: Who may use it.
        handler: What does it; its docstring's first line describes the operation.
        status: Of the answer when it is done.
        errors: Statuses besides those that follow from the rest of the row.
        key: The headers that hold the key.
        reads: The media types of a body that the handler takes as ``bytes``.
        writes: The media types of an answer.
        asks: Its handler waits for servers elsewhere, and so gets a thread that nothing else needs; it
            needs a key.

    Raises:
        TypeError: Path and handler have different parameters.
    """

    method: str
    path: str
    access: Access
    handler: Handler
    status: int = 200
    errors: tuple[int, ...] = ()
    key: KeyHeader = KeyHeader.USUAL
    reads: tuple[str, ...] = (JSON,)
    writes: tuple[str, ...] = (JSON,)
    asks: bool = False

    def __post_init__(self) -> None:
        # Not by its hints: to resolve them for all rows would be a good part of a server's start.
        taken = [name for name in inspect.signature(self.handler).parameters if name not in _OWN_PARAMETERS]
        if sorted(taken) != sorted(self.parameters):
            raise TypeError(f"{self.name}: the path has {self.parameters}, the handler takes {taken}")

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    @cached_property
    def parameters(self) -> list[str]:
        """The names of the path's parameters, in their order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @cached_property
    def body(self) -> Any:
        """The model of the body, ``bytes`` for one that is not parsed, None for none."""
        return self._hints.get("body")

    @cached_property
    def needs_body(self) -> bool:
        """Whether something of the body must be given; else none at all is an empty one."""
        if self.body in (None, bytes):
            return False
        return any(field.is_required() for field in self.body.model_fields.values())

    @cached_property
    def query(self) -> type[BaseModel] | None:
        """The model of the query; None where it takes none."""
        return self._hints.get("query")

    @cached_property
    def answers(self) -> tuple[type[Answer], ...]:
        """The models that an answer may be of; none where it writes itself, or nothing."""
        hint = self._hints["return"]
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        return tuple(
            kind for kind in kinds if isinstance(kind, type) and issubclass(kind, WireModel | WireList)
        )

    @cached_property
    def is_async(self) -> bool:
        """Whether the handler is a coroutine function."""
        return inspect.iscoroutinefunction(self.handler)

    @cached_property
    def summary(self) -> str:
        """What it does, as one line."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    @cached_property
    def statuses(self) -> tuple[int, ...]:
        """Every status that it may answer with."""
        found = {self.status, *self.errors}
        if self.access is not Access.PUBLIC:
            found |= {401, 403, 429}
        if self.asks:
            found.add(503)
        if self.body is not None:
            found |= {400, 413}
        if self.query is not None or self.body not in (None, bytes):
            found.add(422)
        return tuple(sorted(found))

    async def in_thread(self, call: Call, work: Callable[[], T]) -> T:
        """Do what its handler, which is no coroutine function, does.

        Raises:
            Refusal: It asks servers elsewhere, and too many requests do (429 or 503).
        """
        return await (call.elsewhere(work) if self.asks else run_in_threadpool(work))

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.handler)
