"""OpenTelemetry's path for traces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ...models import Trace
from ...store import Store
from ..operation import JSON, Access, Call, Operation
from ..otlp.decode import PROTOBUF, decoded
from ..otlp.traces import joined, traces_of
from ..state import State


async def export(call: Call, body: bytes) -> Response:
    """Take spans, as OTLP over HTTP in protobuf or JSON, also with gzip; they are stored when it answers."""
    headers = call.headers
    kind = headers.get("content-type", "")
    state = call.state
    with state.load.held(len(body)):
        traces = await run_in_threadpool(_read, state, body, kind, headers.get("content-encoding", ""))
        await call.write(partial(_join, parts=traces))
    state.metrics.traces.labels("otlp").inc(len(traces))
    # The empty message, which in protobuf is no byte at all.
    if kind.startswith(PROTOBUF):
        return Response(b"", media_type=PROTOBUF)
    return Response(b"{}", media_type=JSON)


def _read(state: State, body: bytes, kind: str, encoding: str) -> list[Trace]:
    spans = decoded(body, kind, encoding, state.config.server.max_body_bytes)
    redactor = state.redactor.apart()
    return [redactor.trace(trace) for trace in traces_of(spans, state.price)]


def _join(store: Store, parts: Sequence[Trace]) -> None:
    # One after the other: several may be parts of one trace.
    for part in parts:
        store.intake.put([joined(store.intake.one(part.id), part)])


OPERATIONS = (
    Operation(
        "POST",
        "/v1/traces",
        Access.WRITE,
        export,
        reads=(PROTOBUF, JSON),
        writes=(PROTOBUF, JSON),
        errors=(415, 503),
    ),
)
