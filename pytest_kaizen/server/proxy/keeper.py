"""Makes traces of what passed the proxy and keeps them, while nobody waits for it."""

from __future__ import annotations

import asyncio
import http.client
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import httpx
from starlette.concurrency import run_in_threadpool

from ...capture import Redactor
from ...capture.build import Facts, Price, build_span
from ...capture.credentials import credentials_in
from ...capture.wire import Exchange
from ...errors import StoreError
from ...models import SpanKind, Trace, new_span_id, new_trace_id
from ...pipeline.sample import content_of
from ...store.workspaces import OpenWorkspace
from ..state import Metrics
from . import Passage, RawHeaders

_log = logging.getLogger("pytest_kaizen.server")
_BATCH = 64
#: What may wait to be stored. Beyond it requests wait a while for the store, and then go unrecorded:
#: a store that is down is no reason to keep a program from its model.
_MOST_BYTES = 64 * 1024 * 1024
_LONGEST_WAIT_S = 5.0
_TRIES = 5
_PAUSE_S = 1.0
Keep = Callable[[OpenWorkspace, Sequence[Trace]], Awaitable[None]]


class Recording:
    """Makes traces of passages.

    Args:
        redactor: Takes out secrets; what it learns from one passage it does not keep for others.
        price: What a call costs.
    """

    def __init__(self, redactor: Redactor, price: Price) -> None:
        self._redactor = redactor
        self._price = price

    def trace(self, passage: Passage) -> Trace:
        """Return the trace of a passage, without the credentials that it had."""
        exchange = _exchange(passage)
        facts = Facts(new_span_id(), None, SpanKind.LLM, passage.endpoint, passage.url, passage.content)
        span = build_span(facts, [exchange], self._price)
        if passage.client_gone:
            span.metadata["note"] = "the client went away"
        content = content_of([span])
        trace = Trace(
            id=new_trace_id(),
            name=span.name,
            created_at=passage.started_at,
            input=content.input,
            output=content.output,
            error=span.error,
            metadata={"source": "proxy"},
            spans=[span],
        )
        redactor = self._redactor.apart()
        redactor.learn(*credentials_in(passage.headers))
        return redactor.trace(trace)


class _Headers(NamedTuple):
    raw: RawHeaders


class _Answer(NamedTuple):
    """An answer as the clients' own have it; to make one of theirs would take longer than all else here."""

    status_code: int
    headers: _Headers
    reason_phrase: str


def _exchange(passage: Passage) -> Exchange:
    exchange = Exchange(passage.started_at, passage.clock, library=httpx)
    if passage.status is not None:
        reason = http.client.responses.get(passage.status, "")
        exchange.answered(_Answer(passage.status, _Headers(passage.answer_headers), reason))
    exchange.chunks = passage.chunks
    exchange.times = passage.times
    exchange.ended = passage.ended
    exchange.error = passage.error
    return exchange


class Keeper:
    """Makes traces of passages and stores them, in their order and several at once.

    Args:
        recording: Makes the traces.
        keep: Stores the traces of a workspace; raises ``StoreError`` when it cannot.
        metrics: Where they are counted.
    """

    def __init__(self, recording: Recording, keep: Keep, metrics: Metrics) -> None:
        self._recording = recording
        self._keep = keep
        self._metrics = metrics
        self._waiting: deque[tuple[OpenWorkspace, Passage]] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._work: asyncio.Task[None] | None = None

    async def has_room(self) -> bool:
        """Wait a while until there is room for another passage; False when there still is none."""
        if self._room.is_set():
            return True
        try:
            await asyncio.wait_for(self._room.wait(), _LONGEST_WAIT_S)
        except TimeoutError:
            self._lose(1, "the store has not kept up")
            return False
        return True

    def add(self, workspace: OpenWorkspace, passage: Passage) -> None:
        """Have a passage stored soon, as a trace of a workspace."""
        self._waiting.append((workspace, passage))
        self._bytes += passage.size
        if self._bytes > _MOST_BYTES:
            self._room.clear()
        if self._work is None or self._work.done():
            self._work = asyncio.ensure_future(self._store_waiting())

    async def close(self) -> None:
        """Wait until all that was added is stored."""
        while self._work is not None and not self._work.done():
            await asyncio.wait((self._work,))

    async def _store_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            made = await run_in_threadpool(self._made, batch)
            for workspace, traces in made:
                await self._store(workspace, traces)
            self._bytes -= sum(passage.size for _, passage in batch)
            if self._bytes <= _MOST_BYTES:
                self._room.set()

    def _made(
        self, batch: Sequence[tuple[OpenWorkspace, Passage]]
    ) -> list[tuple[OpenWorkspace, list[Trace]]]:
        made: dict[str, tuple[OpenWorkspace, list[Trace]]] = {}
        for workspace, passage in batch:
            try:
                trace = self._recording.trace(passage)
            except Exception:
                # Whatever a provider may answer with: the other traces of the batch come first.
                _log.exception("a call of the proxy could not be read")
                self._metrics.lost.inc()
            else:
                made.setdefault(workspace.id, (workspace, []))[1].append(trace)
        return list(made.values())

    async def _store(self, workspace: OpenWorkspace, traces: Sequence[Trace]) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._keep(workspace, traces)
            except StoreError as exc:
                if attempt == _TRIES:
                    self._lose(len(traces), str(exc))
                    return
                await asyncio.sleep(_PAUSE_S * attempt)
            else:
                self._metrics.traces.labels("proxy").inc(len(traces))
                return

    def _lose(self, count: int, why: str) -> None:
        self._metrics.lost.inc(count)
        _log.error("%d traces of the proxy were lost: %s", count, why)
