"""The server as one ASGI application."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from ..capture import Redactor
from ..config import Config
from ..models import Trace
from ..prices import load_prices
from ..store.workspaces import OpenWorkspace, Workspaces
from .dispatch import Dispatch
from .grant import Grants
from .limits import Load, RateLimit
from .metrics import Metrics
from .operation import Operation
from .outermost import Outermost
from .problem import Refusal, problem_response
from .routes import OPERATIONS
from .state import State
from .table import Table
from .ui import PAGES
from .ui.site import Site, is_page, refused_page
from .work.worker import Worker

if TYPE_CHECKING:
    from .proxy.proxy import Proxy

#: The longest bodies that may be taken in at one time.
_MOST_UNDER_WAY = 8


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
        state.describe = lambda: _described(table)

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


def _described(table: Table) -> bytes:
    # A server that nobody asks for it starts without.
    from .openapi import openapi

    return json.dumps(openapi(table.operations)).encode()


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
        from .proxy.keeper import Keeper
        from .proxy.proxy import Proxy
        from .proxy.record import Recording

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
