"""What a server keeps for all of its requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ..capture import Redactor
from ..capture.build import Price
from ..config import Config
from ..store.workspaces import Workspaces
from .grant import Grants
from .limits import Load, RateLimit
from .metrics import Metrics
from .proxy.proxy import Proxy
from .window import Window
from .work.worker import Worker


@dataclass
class State:
    """What handlers work with.

    Attributes:
        config: The configuration; of most parts ``config.server``.
        workspaces: Its keys and stores.
        grants: Checks keys.
        rate: Counts the requests of each key.
        load: How much is being taken in.
        metrics: What is counted.
        redactor: Takes secrets out of what is kept; each request has one ``apart``.
        price: What a call costs.
        proxy: Passes requests on to model providers.
        worker: Does what requests leave to be done after them.
        span_uploads: Counts the uploads of spans to each run of an agent.
        stopping: Set when the server was told to stop: what would go on for ever ends.
        openapi: The OpenAPI document, as JSON.
    """

    config: Config
    workspaces: Workspaces
    grants: Grants
    rate: RateLimit
    load: Load
    metrics: Metrics
    redactor: Redactor
    price: Price
    proxy: Proxy
    worker: Worker
    span_uploads: Window = field(default_factory=lambda: Window(60, 60.0))
    stopping: threading.Event = field(default_factory=threading.Event)
    openapi: bytes = b"{}"

    async def close(self) -> None:
        """Finish what was accepted."""
        await self.proxy.close()
