"""A proxy for one program on this machine: it has no keys, and stores what passes in one place."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...capture.endpoints import Endpoints
from ...config import DEFAULT_ENDPOINTS, Endpoint
from ...models import Trace
from ..problem import Refusal
from .forward import Forward
from .headers import outgoing
from .passage import Passage
from .proxy import connect
from .record import Recording

_log = logging.getLogger("pytest_kaizen.server")


class Recorder:
    """Passes everything on, and stores a trace of each model call.

    Args:
        upstreams: Where ``/NAME/…`` goes, by name.
        endpoints: Which requests are model calls.
        recording: Makes their traces.
        keep: Stores a trace; called in a thread of its own, one at a time.

    Attributes:
        kept: How many traces were stored.
    """

    def __init__(
        self,
        upstreams: Mapping[str, str],
        endpoints: Sequence[Endpoint],
        recording: Recording,
        keep: Callable[[Trace], None],
    ) -> None:
        self.kept = 0
        self._upstreams = upstreams
        self._endpoints = Endpoints(endpoints)
        self._recording = recording
        self._keep = keep
        self._writer = ThreadPoolExecutor(1)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            forward = self._forward(scope, await _body(receive))
            await forward(scope, receive, send)
        except Refusal as exc:
            content = json.dumps({"error": {"type": "kaizen_exec", "message": str(exc)}}).encode()
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": exc.status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    def _forward(self, scope: Scope, body: bytes) -> Forward:
        _, _, rest = scope["raw_path"].decode("latin-1").partition("/")
        name, slash, path = rest.partition("/")
        if name not in self._upstreams or self._session is None:
            raise Refusal(404, "no such path")
        url = f"{self._upstreams[name].rstrip('/')}{slash}{path}"
        endpoint = self._endpoints.match(httpx.Request(scope["method"], url))
        passage = Passage(
            endpoint or DEFAULT_ENDPOINTS[0],
            url,
            scope["query_string"].decode("latin-1"),
            outgoing(Headers(scope=scope)),
            body,
            method=scope["method"],
        )
        return Forward(self._session, passage, self._ended if endpoint else _forget)

    def _ended(self, passage: Passage) -> None:
        self._writer.submit(self._store, passage)

    def _store(self, passage: Passage) -> None:
        try:
            self._keep(self._recording.trace(passage))
        except Exception:
            # Whatever a provider may answer with, and whatever the store says: the program goes on.
            _log.exception("a call was not stored")
        else:
            self.kept += 1

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = connect(trust_env=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        self._writer.shutdown()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _forget(passage: Passage) -> None:
    """Keep nothing of a request that is no model call."""
