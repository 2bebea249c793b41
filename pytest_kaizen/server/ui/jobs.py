"""Jobs, as they stand and as they change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import StoreError
from ...models import Job
from ...pipeline import jobs
from ...store import Store
from ..operation import Access, Call
from ..problem import Refusal
from . import shown
from .order import Column, Sorting, in_order, order
from .page import HEADERS, ROOT, Page, Redirect, View, harmless, url
from .site import grant_of, refused_page

_SHOWN = 100
#: How often a page is told what has changed, and that the line is still there.
_LOOK_S = 1.0
_BEAT_LOOKS = 15

_COLUMNS = (
    Column("job", "Job", lambda job: job.id),
    Column("kind", "Kind", lambda job: job.kind),
    Column("for", "For", lambda job: job.task),
    Column("status", "Status", lambda job: job.status.value),
    Column("step", "Step", None),
    Column("spent", "Spent", lambda job: job.spend.usd),
    Column("began", "Began", lambda job: job.created_at),
    Column("ended", "Ended", lambda job: job.finished_at),
)


def list_jobs(call: Call, query: Sorting) -> View:
    """List the newest jobs."""
    ordered = order(_COLUMNS, query.sort, "jobs")
    return View("jobs.list", {"jobs": in_order(jobs.recent(call.store, _SHOWN), ordered), "order": ordered})


def show_job(call: Call, job_id: str) -> View:
    """Show how a job stands and what came of it."""
    return View("jobs.job", {"job": _job(call.store, job_id)})


async def events(call: Call) -> ASGIApp:
    """Tell what becomes of jobs, as server-sent events, for as long as the session lasts."""
    assert call.grant is not None
    key_id = call.grant.key.id

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        try:
            with call.state.streams.held(key_id):
                told = StreamingResponse(_events(call), headers=headers, media_type="text/event-stream")
                await told(scope, receive, send)
        except Refusal as exc:
            await refused_page(exc)(scope, receive, send)

    return answer


async def stop(call: Call, job_id: str) -> Redirect:
    """Stop a job; one that has come to an end stays as it is."""
    await call.write(partial(_stop, job_id))
    return Redirect(url("jobs", job_id))


async def _events(call: Call) -> AsyncIterator[str]:
    known: dict[str, str] = {}
    looks = 0
    # It ends with the session and with the server; a browser then asks anew.
    while not call.state.stopping.is_set():
        try:
            lines = await call.state.streams.next(
                ("jobs", call.workspace.id), partial(_lines, call.store), _LOOK_S
            )
            news = [line for job_id, line in lines.items() if known.get(job_id) != line]
            is_beat = looks % _BEAT_LOOKS == 0
            # Nothing is told to a session that has ended.
            if (news or is_beat) and await grant_of(call.scope, call.state) is None:
                return
        except StoreError:
            return
        for line in news:
            yield f"data: {line}\n\n"
        if is_beat:
            # A browser that has gone is noticed when it is written to.
            yield ": beat\n\n"
        known, looks = lines, looks + 1


def _lines(store: Store) -> dict[str, str]:
    """Return what a page shows of each job, the oldest first."""
    return {job.id: _line(job) for job in reversed(jobs.recent(store, _SHOWN))}


def _line(job: Job) -> str:
    """Return what a page shows of a job while it goes on, in one line of JSON."""
    fields = {
        "status": job.status.value,
        "step": harmless(job.step),
        "spent": f"{shown.usd(job.spend.usd)}, {shown.many(job.spend.calls, 'call')}",
        "ended": shown.time(job.finished_at),
    }
    return json.dumps({"id": job.id, "final": job.status.final, "fields": fields})


def _stop(job_id: str, store: Store) -> None:
    jobs.stop(store, _job(store, job_id).id)


def _job(store: Store, job_id: str) -> Job:
    found = store.jobs.find(job_id)
    if found is None or found.id != job_id:
        raise Refusal(404, f"there is no job {job_id!r}")
    return jobs.look_up(store, found.id)


PAGES = (
    Page("GET", f"{ROOT}/jobs", Access.READ, list_jobs),
    Page("GET", f"{ROOT}/jobs/events", Access.READ, events, writes=("text/event-stream",)),
    Page("GET", f"{ROOT}/jobs/{{job_id}}", Access.READ, show_job, errors=(404,)),
    Page("POST", f"{ROOT}/jobs/{{job_id}}/stop", Access.WRITE, stop, errors=(404,)),
)
