"""The import of traces as a job: page after page, gone on with where it was broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...capture import Redactor
from ...capture.build import Price
from ...errors import PlatformError, UsageError
from ...models import Job, Spend, Trace
from ...store import Store
from .. import jobs
from . import Page, Project, Source, moment, understood
from .settings import connect, project_of

_PAGE = 50
#: So many of those that were left out are named.
_NAMED = 10


@dataclass(frozen=True)
class Import:
    """What is to be imported.

    Attributes:
        name: The integration.
        project: The project's name or id.
        since: Only traces begun since then; None for all.
        limit: At most so many, the newest; None for all.
    """

    name: str
    project: str
    since: datetime | None = None
    limit: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a job keeps of it."""
        since = None if self.since is None else self.since.isoformat()
        return {"project": self.project, "since": since, "limit": self.limit}

    @classmethod
    def of_job(cls, job: Job) -> Import:
        """Return what a job is to import."""
        given = job.settings
        return cls(job.task, given["project"], moment(given["since"]), given["limit"])


@dataclass(frozen=True)
class Importer:
    """Imports into one store.

    Attributes:
        store: Where traces are put.
        redactor: Takes secrets out of them.
        price: What a call costs that does not say so.
        allow_private: Whether sources may be in a private network.
        pause: Called after each page, with the job; what it raises ends the import.
    """

    store: Store
    redactor: Redactor
    price: Price
    allow_private: bool
    pause: Callable[[Job], None]

    def run(self, job: Job) -> None:
        """Do a job that was claimed or started; its result says how many traces came.

        Raises:
            UsageError: The integration is not set up, or has no such project.
            PlatformError: It cannot be asked.
            JobError: The job was stopped, or another process has it.
        """
        wanted = Import.of_job(job)
        with jobs.running(self.store, job):
            source = connect(self.store, wanted.name, allow_private=self.allow_private, price=self.price)
            try:
                with understood(wanted.name):
                    project = source.project(wanted.project)
                if project is None:
                    raise _no_project(wanted, source)
                self._pages(job, wanted, source, project)
            finally:
                source.close()

    def _pages(self, job: Job, wanted: Import, source: Source, project: Project) -> None:
        # What an earlier process had done of it.
        done: dict[str, Any] = {
            "traces": 0,
            "new": 0,
            "leftOut": 0,
            "reasons": [],
            "cursor": None,
            **job.result,
        }
        while not done.pop("complete", False):
            room = None if wanted.limit is None else wanted.limit - done["traces"]
            size = _PAGE if room is None else min(_PAGE, room)
            with understood(wanted.name):
                page = source.page(project, since=wanted.since, cursor=done["cursor"], size=size)
            if page.cursor is not None and page.cursor == done["cursor"]:
                raise PlatformError(f"{wanted.name}: the second of two pages begins where the first did")
            done = self._kept(page, done, room)
            job.result = done
            jobs.progress(self.store, job, f"{done['traces']} traces of {project.name}", Spend())
            self.pause(job)
        job.result = {key: done[key] for key in ("traces", "new", "leftOut", "reasons")}

    def _kept(self, page: Page, done: dict[str, Any], room: int | None) -> dict[str, Any]:
        redactor = self.redactor.apart()
        traces = [redactor.trace(trace) for trace in page.traces[:room]]
        new = put(self.store, traces)
        return {
            "traces": done["traces"] + len(traces),
            "new": done["new"] + new,
            "leftOut": done["leftOut"] + len(page.left_out),
            "reasons": [*done["reasons"], *map(redactor.text, page.left_out)][:_NAMED],
            "cursor": page.cursor,
            "complete": page.cursor is None or (room is not None and room <= len(traces)),
        }


def put(store: Store, traces: Iterable[Trace]) -> int:
    """Store traces that have come from elsewhere; one that is there already gets what is new of it.

    Returns:
        How many were not there.
    """
    new = 0
    for trace in traces:
        there = store.intake.one(trace.id)
        new += there is None
        store.intake.put([trace if there is None else _joined(there, trace)])
    return new


def _joined(there: Trace, fresh: Trace) -> Trace:
    """Return a trace as it is elsewhere by now, with what was added to it here."""
    scored = {(score.name, score.source) for score in fresh.scores}
    spanned = {span.id for span in fresh.spans}
    update = {
        "run_id": there.run_id,
        "task": there.task,
        "case_id": there.case_id,
        "sample": there.sample,
        "metadata": {**there.metadata, **fresh.metadata},
        "reference": there.reference if fresh.reference is None else fresh.reference,
        "scores": [*fresh.scores, *(s for s in there.scores if (s.name, s.source) not in scored)],
        "spans": [*fresh.spans, *(span for span in there.spans if span.id not in spanned)],
    }
    return fresh.model_copy(update=update)


def _no_project(wanted: Import, source: Source) -> UsageError:
    with understood(wanted.name):
        names = sorted(project.name for project in source.projects())
    there = ", ".join(map(repr, names[:_NAMED])) or "none"
    return UsageError(f"{wanted.name} has no project {wanted.project!r}; there are: {there}")


def start(store: Store, wanted: Import, triggered_by: str = "command") -> Job:
    """Store a job that imports and that this process has; raises as ``jobs.start``."""
    return jobs.start(store, jobs.IMPORT, wanted.name, wanted.settings, triggered_by)


def create(store: Store, wanted: Import) -> Job:
    """Store a job that imports and that waits for a worker; raises as ``jobs.create``."""
    return jobs.create(store, jobs.IMPORT, wanted.name, wanted.settings, "api")


def planned(
    store: Store, name: str, project: str | None, since: datetime | None, limit: int | None
) -> Import:
    """Return what is to be imported, the project filled in; raises as ``project_of``.

    Args:
        store: Where the settings are.
        name: The integration.
        project: The project; the one that is set where it is None.
        since: Only traces begun since then; without a zone in UTC.
        limit: At most so many.
    """
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return Import(name, project_of(store, name, project), since, limit)
