"""What is done around every request: an id, figures, and an answer also when something went wrong."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import StoreError
from .dispatch import OPERATION
from .limits import ClientGoneError
from .metrics import Metrics
from .problem import Refusal, problem_response
from .proxy.passage import BrokenAnswerError

_log = logging.getLogger("pytest_kaizen.server")
_ID_HEADER = b"x-request-id"
#: Ids of others go into logs and answers, so they are to be plain.
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}")
_STORE_RETRY_S = "5"


class Outermost:
    """Gives requests an id, counts them and answers for what went wrong within.

    Args:
        app: What answers them.
        metrics: Where they are counted.
        refused: Makes the answer to a request that is not done.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        refused: Callable[[Refusal, Scope], ASGIApp] = problem_response,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request_id = _request_id(scope)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                # A provider's answer has its own, by which its support finds it.
                if not any(name == _ID_HEADER for name, _ in headers):
                    headers.append((_ID_HEADER, request_id))
                message["headers"] = headers
            await send(message)

        began = time.perf_counter()
        self._metrics.open.inc()
        try:
            refusal = await self._tried(scope, receive, send_with_id, request_id)
            if refusal is not None and not status:
                await self._refused(refusal, scope)(scope, receive, send_with_id)
        finally:
            self._metrics.open.dec()
            self._count(scope, status, time.perf_counter() - began)

    async def _tried(self, scope: Scope, receive: Receive, send: Send, request_id: bytes) -> Refusal | None:
        try:
            await self._app(scope, receive, send)
        except Refusal as exc:
            return exc
        except ClientGoneError:
            return None
        except BrokenAnswerError as exc:
            # The client sees it by a connection that ends before the answer does.
            _log.warning("request %s: the provider's answer broke off: %s", request_id.decode(), exc)
            return None
        except StoreError as exc:
            # Its message names files of the server's machine.
            _log.error("request %s: %s", request_id.decode(), exc)
            return Refusal(
                503, "the store cannot be used; try again later", headers={"Retry-After": _STORE_RETRY_S}
            )
        except Exception:
            _log.exception("request %s failed", request_id.decode())
            return Refusal(500, f"the server failed; its log says more under {request_id.decode()}")
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope.get(OPERATION)
        # Paths that are none are anybody's texts.
        path = "none" if operation is None else operation.path
        method = "none" if operation is None else operation.method
        self._metrics.requests.labels(method, path, str(status)).inc()
        self._metrics.seconds.labels(method, path).observe(seconds)


def _request_id(scope: Scope) -> bytes:
    given = next((value for name, value in scope["headers"] if name == _ID_HEADER), b"")
    return given if _PLAIN_ID.fullmatch(given) else os.urandom(8).hex().encode()
