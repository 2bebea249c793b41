"""Passes a request on and its answer back, byte for byte as it comes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from ...capture.describe import describe
from ..problem import Refusal
from .headers import incoming
from .passage import BrokenAnswerError, Passage

#: Left out where the client did not send them, as it would be without a proxy.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


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
