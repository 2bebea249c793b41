"""A proxy for programs on this machine, that runs for the life time of a block.

It has no keys, and stores what passes in one place.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import aiohttp
import httpx
import uvicorn
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...capture import Redactor
from ...capture.wire import Endpoints
from ...config import DEFAULT_ENDPOINTS, Config, Endpoint
from ...models import Trace
from ...prices import load_prices
from ..app import listen, url_of
from ..problem import Refusal
from . import Passage, outgoing
from .forward import Forward, connect
from .keeper import Recording

_log = logging.getLogger("pytest_kaizen.server")
_BASES = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}


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


class Recorded(NamedTuple):
    """A recorder that listens, and the environment of a program whose model calls it is to see."""

    recorder: Recorder
    environment: dict[str, str]


@contextmanager
def recorded(config: Config, keep: Callable[[Trace], None]) -> Iterator[Recorded]:
    """Record the model calls of programs that are run within, on their way to where they went before.

    Args:
        config: Which requests are model calls, what they cost, and where they go by default.
        keep: Is given the trace of each, in a thread of its own; all when the block has ended.
    """
    defaults = {"anthropic": config.server.anthropic_url, "openai": config.server.openai_url}
    upstreams = {name: os.environ.get(key) or defaults[name] for name, key in _BASES.items()}
    made = Recording(Redactor(os.environ, config.redact), load_prices(config.prices).cost)
    recorder = Recorder(upstreams, config.endpoints, made, keep)
    with recording(recorder) as url:
        # The way to the proxy is not through another one.
        there = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        direct = ",".join(filter(None, [there, "127.0.0.1"]))
        bases = {key: f"{url}/{name}" for name, key in _BASES.items()}
        yield Recorded(recorder, {**os.environ, **bases, "NO_PROXY": direct, "no_proxy": direct})


@contextmanager
def recording(recorder: Recorder) -> Iterator[str]:
    """Serve on a free port of this machine; give its URL. When it ends, all traces are stored."""
    # Its warnings would stand among what the program prints.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    config = uvicorn.Config(
        recorder,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        ws="none",
    )
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()
