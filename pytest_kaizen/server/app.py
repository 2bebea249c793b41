"""The server: one ASGI application, and how it runs until it is told to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ..capture import Redactor
from ..config import Config
from ..errors import UsageError
from ..models import Trace
from ..prices import load_prices
from ..store.workspaces import OpenWorkspace, Workspaces
from .dispatch import Dispatch, Outermost
from .operation import Operation
from .problem import Refusal, problem_response
from .routes import OPERATIONS
from .state import Grants, Load, Metrics, RateLimit, State
from .table import Table, openapi
from .ui import PAGES
from .ui.site import Site, is_page, refused_page
from .worker import Worker

if TYPE_CHECKING:
    from .proxy.forward import Proxy

#: The longest bodies that may be taken in at one time.
_MOST_UNDER_WAY = 8
#: What is under way when the server is told to stop may take so long.
_STOP_S = 30
_BACKLOG = 2048
_SWITCH_S = 0.0005


class App:
    """Answers HTTP requests by the table of operations, and those for pages by that of the pages.

    Args:
        state: What is kept for all requests; closed when the server stops.
        operations: The table's rows.

    Attributes:
        state: As it was given.
    """

    def __init__(self, state: State, operations: Iterable[Operation]) -> None:
        table = Table(operations)
        self.state = state
        self._programs = Dispatch(table, state)
        self._people = Site(PAGES, state)
        self._http = Outermost(self._answer, state.metrics, _refused)
        state.describe = lambda: json.dumps(openapi(table.operations)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._people if is_page(scope) else self._programs)(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.state.close()
        await send({"type": "lifespan.shutdown.complete"})


def _refused(refusal: Refusal, scope: Scope) -> ASGIApp:
    return refused_page(refusal) if is_page(scope) else problem_response(refusal, scope)


def create_app(config: Config, workspaces: Workspaces, operations: Iterable[Operation] = OPERATIONS) -> App:
    """Make a server.

    Args:
        config: The configuration.
        workspaces: Its keys and stores; closed by their owner, after the server has stopped.
        operations: The table's rows; those of ``routes`` by default.
    """
    metrics = Metrics()
    redactor = Redactor(os.environ, config.redact)
    price = load_prices(config.prices).cost

    async def keep(workspace: OpenWorkspace, traces: Sequence[Trace]) -> None:
        await workspace.writer.submit(lambda store: store.shelf.add(traces))

    def open_proxy() -> Proxy:
        # The HTTP clients that it needs take a third of the time that a server takes to start.
        from .proxy.forward import Proxy
        from .proxy.keeper import Keeper, Recording

        return Proxy(Keeper(Recording(redactor, price), keep, metrics))

    state = State(
        config=config,
        workspaces=workspaces,
        grants=Grants(workspaces),
        rate=RateLimit(config.server.requests_per_s),
        load=Load(_MOST_UNDER_WAY * config.server.max_body_bytes),
        metrics=metrics,
        redactor=redactor,
        price=price,
        open_proxy=open_proxy,
        worker=Worker(config, workspaces),
    )
    return App(state, operations)


class _Stopped(Exception):  # noqa: N818 - it is no error
    """The server was told to stop, and has."""


class _Server(uvicorn.Server):
    """Says at once that it was told to stop: it then waits for what is under way."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """Take a port, so that what follows cannot fail for want of it.

    Args:
        host: A name or address.
        port: 0 for any that is free.

    Raises:
        UsageError: It is not to be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise UsageError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from None


def run(app: App, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what was accepted by then is finished.

    Args:
        app: The server.
        listener: A socket that listens; closed in the end.
    """
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("uvicorn", "pytest_kaizen"):
        logging.getLogger(name).addHandler(log)
    config = uvicorn.Config(
        app,
        # Requests are counted; a line for each would cost more than most of them do.
        access_log=False,
        http="httptools",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
        ws="none",
    )
    # The loop shares the interpreter with threads that make traces of what has passed; by default they
    # would let it wait 5 ms each time.
    sys.setswitchinterval(_SWITCH_S)
    # uvicorn sends itself the signal once more when it has stopped, for whoever handled it before.
    signal.signal(signal.SIGTERM, _stop)
    with suppress(_Stopped, KeyboardInterrupt):
        _Server(config, app.state.stopping).run(sockets=[listener])


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Stopped


def url_of(listener: socket.socket) -> str:
    """Return where a server can be reached."""
    address: Any = listener.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"
