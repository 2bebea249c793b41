"""What a server keeps for all of its requests."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import ServerConfig
from .limits import RateLimit
from .metrics import Metrics
from .workspaces import Workspaces


@dataclass
class State:
    """What handlers work with.

    Attributes:
        settings: The server's settings.
        workspaces: Its keys and stores.
        rate: Counts the requests of each key.
        metrics: What is counted.
        openapi: The OpenAPI document, as JSON.
    """

    settings: ServerConfig
    workspaces: Workspaces
    rate: RateLimit
    metrics: Metrics
    openapi: bytes = b"{}"

    async def close(self) -> None:
        """Finish what was accepted."""
