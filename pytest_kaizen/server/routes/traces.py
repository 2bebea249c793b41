"""The one path that two platforms share: ``GET /api/v1/traces``."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from pydantic import BaseModel, Field

from ...platforms.kaizen_ct.wire import TraceList
from ...platforms.kalmia.arrived import project_of, shown
from ...platforms.kalmia.wire import KalmiaTrace, TracePage
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal
from .kaizen_ct import traces as kaizen_ct
from .kaizen_ct.ids import task_of

#: A page is filled from so many traces at a time where a project is asked for, which no index knows.
_LOOKED_AT = 200


class TraceQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    project: str | None = None
    provider: str | None = None
    task_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def list_traces(call: Call, query: TraceQuery) -> TracePage | TraceList:
    """List traces, the newest first: with X-API-Key or task_id as Kaizen CT does, else as Kalmia does."""
    if query.task_id is not None or "x-api-key" in call.headers:
        return _of_kaizen_ct(call.store, query)
    return _of_kalmia(call, query)


def _of_kaizen_ct(store: Store, query: TraceQuery) -> TraceList:
    task = None if query.task_id is None else task_of(store, query.task_id).name
    page = store.intake.page(task=task, limit=query.limit)
    return TraceList([kaizen_ct.shown(store, trace) for trace in page.traces])


def _of_kalmia(call: Call, query: TraceQuery) -> TracePage:
    after = _read_cursor(query.cursor)
    found: list[KalmiaTrace] = []
    at_once = query.limit if query.project is None else _LOOKED_AT
    while True:
        page = call.store.intake.page(provider=query.provider, limit=at_once, after=after)
        for number, (trace, end) in enumerate(zip(page.traces, page.ends, strict=True), 1):
            if query.project in (None, project_of(trace)):
                found.append(shown(trace))
            if len(found) == query.limit and (page.more or number < len(page.traces)):
                return TracePage(traces=found, next_cursor=urlsafe_b64encode(end.encode()).decode())
        if not page.more:
            return TracePage(traces=found, next_cursor=None)
        after = page.ends[-1]


def _read_cursor(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        end = urlsafe_b64decode(cursor.encode()).decode()
        int(end.rpartition("|")[2])
    except (binascii.Error, ValueError):
        raise Refusal(422, "query.cursor: give the next_cursor of a page", code="INVALID") from None
    return end


OPERATIONS = (Operation("GET", "/api/v1/traces", Access.READ, list_traces, errors=(404,)),)
