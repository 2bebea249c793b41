"""The proxy: its connections to providers, and what keeps the traces."""

from __future__ import annotations

from functools import partial

import aiohttp
from starlette.datastructures import Headers
from starlette.types import ASGIApp

from ...config import Endpoint
from ...store.workspaces import OpenWorkspace
from .forward import Forward
from .headers import outgoing
from .keeper import Keeper
from .passage import Passage

#: A model may think for minutes before its first word; clients have limits of their own.
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=10.0, sock_read=900.0)


class Proxy:
    """Passes requests on to model providers.

    Args:
        keeper: Keeps their traces.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._session: aiohttp.ClientSession | None = None

    async def forward(
        self,
        workspace: OpenWorkspace,
        endpoint: Endpoint,
        url: str,
        *,
        query: str,
        headers: Headers,
        content: bytes,
    ) -> ASGIApp:
        """Return what passes a request on.

        Args:
            workspace: Whose trace it becomes.
            endpoint: The protocol that is spoken.
            url: Where it goes, without the query.
            query: The query, encoded.
            headers: As they came.
            content: The body.

        Raises:
            Refusal: It would give our key away.
        """
        passage = Passage(endpoint, url, query, outgoing(headers), content)
        recorded = await self._keeper.has_room()
        return Forward(
            self._connected(), passage, partial(self._keeper.add, workspace) if recorded else _forget
        )

    async def close(self) -> None:
        """Store what was seen, and close the connections."""
        await self._keeper.close()
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = connect()
        return self._session


def connect(*, trust_env: bool = False) -> aiohttp.ClientSession:
    """Open connections to providers.

    Args:
        trust_env: Go through the proxies that the environment names.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        # A provider's cookies are one client's own, and its bytes are passed on as they are.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=_TIMEOUT,
        trust_env=trust_env,
    )


def _forget(passage: Passage) -> None:
    """Keep nothing of a passage."""
