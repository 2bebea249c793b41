"""The proxy: passes requests on and their answers back, byte for byte as they come."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from functools import partial

import aiohttp
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from yarl import URL

from ...capture.wire import describe
from ...config import Endpoint
from ...store.workspaces import OpenWorkspace
from ..problem import Refusal
from . import BrokenAnswerError, Passage, incoming, outgoing
from .keeper import Keeper

#: Left out where the client did not send them, as it would be without a proxy.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
#: A model may think for minutes before its first word; clients have limits of their own.
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=10.0, sock_read=900.0)


class Forward:
    """One request on its way, as the ASGI application that answers it.

    A client that goes away takes the request to the provider with it.

    Args:
        session: The connections to providers.
        passage: The request; what comes of it is noted there.
        done: Called once with the passage, however it ends.
    """

    def __init__(
        self, session: aiohttp.ClientSession, passage: Passage, done: Callable[[Passage], None]
    ) -> None:
        self._session = session
        self._passage = passage
        self._done = done

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and its answer back.

        Raises:
            Refusal: No answer came from the provider (502), or none in time (504).
            BrokenAnswerError: One came in part.
        """
        passing = asyncio.ensure_future(self._pass(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
            self._passage.client_gone = not passing.done()
        finally:
            passing.cancel()
            gone.cancel()
            await asyncio.wait((passing, gone))
            failed = None if passing.cancelled() else passing.exception()
            if self._passage.ended is None:
                self._passage.end()
            self._done(self._passage)
        if failed is not None:
            raise failed

    async def _pass(self, send: Send) -> None:
        passage = self._passage
        try:
            async with self._session.request(
                passage.method,
                URL(f"{passage.url}?{passage.query}" if passage.query else passage.url, encoded=True),
                headers=[
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in passage.headers
                ],
                data=io.BytesIO(passage.content),
                skip_auto_headers=_NOT_ADDED,
                allow_redirects=False,
            ) as response:
                passage.status = response.status
                passage.answer_headers = incoming(response.raw_headers)
                start = {"status": response.status, "headers": passage.answer_headers}
                await send({"type": "http.response.start", **start})
                async for chunk in response.content.iter_any():
                    passage.add(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                passage.end()
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, TimeoutError) as exc:
            passage.end(describe(exc))
            if passage.status is not None:
                raise BrokenAnswerError(describe(exc)) from None
            if isinstance(exc, TimeoutError):
                raise Refusal(504, "the provider did not answer in time") from None
            raise Refusal(502, f"the provider cannot be reached ({type(exc).__name__})") from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
