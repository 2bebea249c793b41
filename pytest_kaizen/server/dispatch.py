"""What happens to every request: its operation is found, its key checked, its body read and parsed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .admission import admit
from .limits import read_body
from .operation import JSON, Call, Operation
from .problem import Refusal
from .state import State
from .table import Table

#: Where the ASGI scope says which operation a request is.
OPERATION = "kaizen.operation"


class Dispatch:
    """Answers requests by the table of operations.

    Args:
        table: The operations.
        state: What handlers work with.
    """

    def __init__(self, table: Table, state: State) -> None:
        self._table = table
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            Refusal: It is not done.
            ClientGoneError: The client went away before its request had come.
        """
        operation, values = self._table.find(scope)
        scope[OPERATION] = operation
        grant = await admit(operation, scope, self._state.grants)
        if grant is not None:
            self._state.rate.take(grant.key.id)
        arguments: dict[str, Any] = dict(values)
        if operation.query is not None:
            arguments["query"] = _query(operation, scope)
        content = b""
        if operation.body is not None:
            content = await read_body(receive, self._state.config.server.max_body_bytes)
            arguments["body"] = content if operation.body is bytes else _body(operation, content)
        call = Call(grant, self._state, scope, operation.status, content)
        if operation.is_async:
            answer = await operation.handler(call, **arguments)
        else:
            answer = await run_in_threadpool(operation.handler, call, **arguments)
        await _response(operation, answer)(scope, receive, send)


def _query(operation: Operation, scope: Scope) -> Any:
    assert operation.query is not None
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    try:
        # Of a parameter that is given twice, the last counts.
        return operation.query.model_validate({name: values[-1] for name, values in given.items()})
    except ValidationError as exc:
        raise Refusal.of_validation("query", exc) from None


def _body(operation: Operation, content: bytes) -> Any:
    try:
        # Strictly: what the document says is a number is none of true, false and "1".
        return operation.body.model_validate_json(
            content if operation.needs_body else content or b"{}", strict=True
        )
    except ValidationError as exc:
        raise Refusal.of_validation("body", exc) from None


def _response(operation: Operation, answer: Any) -> ASGIApp:
    if answer is None:
        return Response(status_code=operation.status)
    if isinstance(answer, operation.answers):
        return Response(answer.to_bytes(), operation.status, media_type=JSON)
    app: ASGIApp = answer
    return app
