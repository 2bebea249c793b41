"""A worker, and jobs for it to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pytest_kaizen.config import Config, ServerConfig
from pytest_kaizen.models import Job, JobStatus
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server.worker import Assignment, Worker
from pytest_kaizen.store import Store
from tests.server.conftest import Book

#: Nothing here takes so long; it only ends a test that would hang.
PATIENCE_S = 120


def make_worker(book: Book, do: Callable[[Assignment], None], at_once: int = 4) -> Worker:
    config = Config(root=Path(), store=Path("unused.db"), server=ServerConfig(jobs_at_once=at_once))
    return Worker(config, book.workspaces, {"odd": do})


def until(store: Store, job: Job, status: JobStatus) -> Job:
    end = time.monotonic() + PATIENCE_S
    while (known := store.jobs.one(job.id)).status is not status:
        assert time.monotonic() < end, f"{known.status}: {known.error}"
        time.sleep(0.02)
    return known


def complete(work: Assignment) -> None:
    with jobs.running(work.store, jobs.claim(work.store, work.job.id)) as job:
        job.result = {"done": True}
