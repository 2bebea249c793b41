"""Kayba's traces, as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from starlette.types import ASGIApp

from ....models import Trace
from ....pipeline.trace_files import NewFile, file_traces
from ....platforms.kayba.wire import (
    BatchRequest,
    Empty,
    TraceFile,
    TraceFiles,
    TraceMeta,
    TraceMetas,
    Uploaded,
    UploadRequest,
)
from ....report.trace_json import META_KEYS, trace_content, trace_json
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal

_AT_ONCE = 200


def list_traces(call: Call) -> TraceMetas:
    """List all traces, the newest first, without their content."""
    return TraceMetas(traces=[_meta(trace) for trace in _all(call.store)])


async def upload(call: Call, body: UploadRequest) -> Uploaded | ASGIApp:
    """Store files as traces, all or none."""
    most = call.state.config.server.max_batch
    if len(body.traces) > most:
        raise Refusal(413, f"{len(body.traces)} files in one request; send {most} at most")
    files = [NewFile(file.filename, file.content, file.file_type) for file in body.traces]
    return await call.once(partial(_add, file_traces(files, call.state.redactor.apart())))


def get(call: Call, trace_id: str) -> TraceFile:
    """Show a trace with its content."""
    return _file(_known(call.store, trace_id))


async def delete(call: Call, trace_id: str) -> Empty:
    """Delete a trace."""
    return await call.write(partial(_delete, trace_id))


def batch(call: Call, body: BatchRequest) -> TraceFiles:
    """Show several traces with their content, in the order asked; unknown ids are left out."""
    most = call.state.config.server.max_batch
    if len(body.ids) > most:
        raise Refusal(413, f"{len(body.ids)} ids in one request; send {most} at most")
    found = (call.store.intake.one(trace_id) for trace_id in body.ids)
    return TraceFiles(traces=[_file(trace) for trace in found if trace is not None])


def _all(store: Store) -> Iterator[Trace]:
    after = None
    while True:
        page = store.intake.page(limit=_AT_ONCE, after=after)
        yield from page.traces
        if not page.more:
            return
        after = page.ends[-1]


def _add(traces: Sequence[Trace], store: Store) -> Uploaded:
    store.shelf.add(traces)
    return Uploaded(count=len(traces), traces=[_meta(trace) for trace in traces])


def _delete(trace_id: str, store: Store) -> Empty:
    # The shelf finds a trace by the beginning of its id too, which a program never means.
    store.shelf.delete(_known(store, trace_id).id)
    return Empty()


def _known(store: Store, trace_id: str) -> Trace:
    trace = store.intake.one(trace_id)
    if trace is None:
        raise Refusal(404, f"there is no trace {trace_id!r}")
    return trace


def _meta(trace: Trace) -> TraceMeta:
    values = trace_json(trace)
    return TraceMeta.model_validate({key: values[key] for key in META_KEYS})


def _file(trace: Trace) -> TraceFile:
    return TraceFile.model_validate({**_meta(trace).to_json(), "content": trace_content(trace)})


OPERATIONS = (
    Operation("GET", "/api/traces", Access.READ, list_traces),
    Operation("POST", "/api/traces", Access.WRITE, upload),
    Operation("GET", "/api/traces/{trace_id}", Access.READ, get, errors=(404,)),
    Operation("DELETE", "/api/traces/{trace_id}", Access.WRITE, delete, errors=(404,)),
    Operation("POST", "/api/traces/batch", Access.READ, batch),
)
