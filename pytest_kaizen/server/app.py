"""The server as one ASGI application."""

from __future__ import annotations

import json
from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from ..config import ServerConfig
from .dispatch import Dispatch
from .limits import RateLimit
from .metrics import Metrics
from .openapi import openapi
from .operation import Operation
from .outermost import Outermost
from .routes import OPERATIONS
from .state import State
from .table import Table
from .workspaces import Workspaces


class App:
    """Answers HTTP requests by the table of operations.

    Args:
        state: What is kept for all requests; closed when the server stops.
        operations: The table's rows.
    """

    def __init__(self, state: State, operations: Iterable[Operation]) -> None:
        table = Table(operations)
        self._state = state
        self._http = Outermost(Dispatch(table, state), state.metrics)
        state.openapi = json.dumps(openapi(table.operations)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._state.close()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(settings: ServerConfig, workspaces: Workspaces) -> App:
    """Make a server.

    Args:
        settings: Its settings.
        workspaces: Its keys and stores; closed by their owner, after the server has stopped.
    """
    metrics = Metrics()
    state = State(settings, workspaces, RateLimit(settings.requests_per_s), metrics)
    return App(state, OPERATIONS)
