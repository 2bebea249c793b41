"""Kalmia's page: traces that are sent, listed and rated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from pydantic import RootModel, ValidationError
from starlette.concurrency import run_in_threadpool

from ...capture.build import cost_of
from ...models import SpanKind, Trace
from ...pipeline.ratings import rate, rated
from ...platforms.base.failure import validation_text
from ...platforms.kalmia.arrived import arrived, project_of, shown
from ...platforms.kalmia.wire import (
    Acknowledged,
    FeedbackRequest,
    Hit,
    IngestResult,
    KalmiaTrace,
    Rejected,
    SearchRequest,
    SearchResults,
)
from ...store import Store
from ...store.ratings import Rating
from ...store.search import MOST_COUNTED
from ..operation import Access, Call, Operation
from ..problem import Refusal
from ..state import State

_MOST_HITS = 200


class IngestBody(RootModel[list[Any] | dict[str, Any]]):
    """One trace, or an array; each is checked by itself, so that one mistake costs one trace."""


class _Arrived(NamedTuple):
    part: KalmiaTrace
    trace: Trace


async def ingest(call: Call, body: IngestBody) -> IngestResult:
    """Take traces, or parts of them, which merge; what the answer does not name is stored."""
    items = body.root if isinstance(body.root, list) else [body.root]
    most = call.state.config.server.max_batch
    if len(items) > most:
        raise Refusal(413, f"{len(items)} traces in one request; send {most} at most")
    parts, rejected = await run_in_threadpool(_read, call.state, items)
    await call.write(partial(_store, call.state, parts))
    call.state.metrics.traces.labels("kalmia").inc(len(parts))
    return IngestResult(rejected=rejected)


async def feedback(call: Call, trace_id: str, body: FeedbackRequest) -> Acknowledged:
    """Rate a trace, also before it has arrived; what is not given stays as it was."""
    redactor = call.state.redactor.apart()
    comment = None if body.comment is None else redactor.text(body.comment)
    rating = Rating(rating=body.rating, comment=comment)
    await call.write(lambda store: rate(store, trace_id, rating))
    return Acknowledged()


def search(call: Call, body: SearchRequest) -> SearchResults:
    """Find traces by words, the last stored first."""
    limit = min(body.limit or _MOST_HITS, _MOST_HITS)
    # No index knows the project, so more is looked at where one is asked for.
    found = call.workspace.search(body.query, limit=limit if body.project is None else MOST_COUNTED)
    hits = [hit for hit in found.hits if body.project in (None, project_of(hit.trace))]
    results = [Hit(trace=shown(hit.trace), score=hit.score, snippet=hit.snippet) for hit in hits[:limit]]
    return SearchResults(results=results, total=found.total if body.project is None else len(hits))


def _read(state: State, items: Sequence[Any]) -> tuple[list[_Arrived], list[Rejected]]:
    parts, rejected = [], []
    redactor = state.redactor.apart()
    now = datetime.now(UTC)
    for item in items:
        try:
            part = KalmiaTrace.model_validate(redactor.data(item))
            parts.append(_Arrived(part, _priced(state, arrived(None, part, now))))
        except ValidationError as exc:
            rejected.append(Rejected(id=_id(item), reason=validation_text(exc)))
        except ValueError as exc:
            rejected.append(Rejected(id=_id(item), reason=str(exc)))
    return parts, rejected


def _id(item: Any) -> str:
    return str(item.get("id", "")) if isinstance(item, dict) else ""


def _store(state: State, parts: Sequence[_Arrived], store: Store) -> None:
    for part, fresh in parts:
        known = store.intake.one(part.id)
        trace = fresh
        if known is not None:
            trace = _priced(state, arrived(known, part, fresh.created_at))
        if trace != known:
            store.intake.put([rated(trace, store.ratings.one(trace.id))])


def _priced(state: State, trace: Trace) -> Trace:
    for span in trace.spans:
        if span.kind is SpanKind.LLM:
            span.cost_usd = cost_of(state.price, span.model, span.usage)
    return trace


OPERATIONS = (
    Operation("POST", "/api/v1/traces/ingest", Access.WRITE, ingest, errors=(503,)),
    Operation("POST", "/api/v1/traces/{trace_id}/feedback", Access.WRITE, feedback),
    Operation("POST", "/api/traces/search", Access.READ, search),
)
