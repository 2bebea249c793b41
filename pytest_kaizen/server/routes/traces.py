"""The one path that two platforms share: ``GET /api/v1/traces``."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from pydantic import BaseModel, Field

from ...platforms.kalmia.arrived import project_of, shown
from ...platforms.kalmia.wire import KalmiaTrace, TracePage
from ..operation import Access, Call, Operation
from ..problem import Refusal

#: A page is filled from so many traces at a time where a project is asked for, which no index knows.
_LOOKED_AT = 200


class TraceQuery(BaseModel):
    """What may be asked of the list."""

    project: str | None = None
    provider: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def list_traces(call: Call, query: TraceQuery) -> TracePage:
    """List traces, the newest first."""
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


OPERATIONS = (Operation("GET", "/api/v1/traces", Access.READ, list_traces),)
