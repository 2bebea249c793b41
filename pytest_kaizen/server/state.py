"""What a server keeps for all of its requests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..capture import Redactor
from ..capture.build import Price
from ..config import Config
from ..store.workspaces import Workspaces
from .grant import Grants
from .limits import Load, RateLimit
from .metrics import Metrics
from .window import Window
from .work.worker import Worker

if TYPE_CHECKING:
    from .proxy.proxy import Proxy


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
        open_proxy: Makes ``proxy``.
        worker: Does what requests leave to be done after them.
        span_uploads: Counts the uploads of spans to each run of an agent.
        stopping: Set when the server was told to stop: what would go on for ever ends.
        describe: Makes ``openapi``.
    """

    config: Config
    workspaces: Workspaces
    grants: Grants
    rate: RateLimit
    load: Load
    metrics: Metrics
    redactor: Redactor
    price: Price
    open_proxy: Callable[[], Proxy]
    worker: Worker
    span_uploads: Window = field(default_factory=lambda: Window(60, 60.0))
    stopping: threading.Event = field(default_factory=threading.Event)
    describe: Callable[[], bytes] = bytes

    @cached_property
    def proxy(self) -> Proxy:
        """Passes requests on to model providers; made, and its HTTP client loaded, for the first one."""
        return self.open_proxy()

    @cached_property
    def openapi(self) -> bytes:
        """The OpenAPI document, as JSON; made when it is first asked for."""
        return self.describe()

    async def close(self) -> None:
        """Finish what was accepted."""
        if "proxy" in vars(self):
            await self.proxy.close()
