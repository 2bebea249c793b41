"""What a server keeps for all of its requests."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from .limits import RateLimit
from .metrics import Metrics
from .proxy.proxy import Proxy
from .workspaces import Workspaces


@dataclass
class State:
    """What handlers work with.

    Attributes:
        config: The configuration; of most parts ``config.server``.
        workspaces: Its keys and stores.
        rate: Counts the requests of each key.
        metrics: What is counted.
        proxy: Passes requests on to model providers.
        openapi: The OpenAPI document, as JSON.
    """

    config: Config
    workspaces: Workspaces
    rate: RateLimit
    metrics: Metrics
    proxy: Proxy
    openapi: bytes = b"{}"

    async def close(self) -> None:
        """Finish what was accepted."""
        await self.proxy.close()
