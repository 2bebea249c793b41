"""Feedback on its way into the store, and the search that enough of it starts."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.errors import LLMError, UsageError
from pytest_kaizen.models import Job, JobStatus, Task
from pytest_kaizen.optimize import Budget
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.feedback.logged import Start, log_feedback, start_if_due
from pytest_kaizen.pipeline.search import Search
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from .conftest import Make

REDACTOR = Redactor({})
SEARCH = Search("triage", budget=Budget(usd=2.5), triggered_by="threshold", source="feedback")


class Starts:
    """Remembers the jobs that it is to begin."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> None:
        self.jobs.append(job)


def log(store: Store, make: Make, task: Task, start: Start, **fields: str) -> Job | None:
    log_feedback(store, task, make.entry(task, {"ticket": "lamp"}, **fields), REDACTOR)
    return start_if_due(store, task, SEARCH, start)


@pytest.fixture
def task(store: Store, make: Make) -> Task:
    made = make.task(feedback_threshold=3)
    store.tasks.add(made)
    return made


def test_a_search_starts_when_there_is_enough(store: Store, make: Make, task: Task) -> None:
    starts = Starts()
    for source in ("seed", "sdk", "user_rating", "seed"):
        assert log(store, make, task, starts, source=source) is None
    job = log(store, make, task, starts)
    assert job is not None
    assert starts.jobs == [job]
    [stored] = store.jobs.newest("triage")
    assert (stored.id, stored.status, stored.triggered_by) == (job.id, JobStatus.QUEUED, "threshold")
    search = Search.of_job(stored)
    assert (search.task, search.source, search.budget.usd, search.job_id) == (
        "triage",
        "feedback",
        2.5,
        job.id,
    )
    # One at a time, and not again before it has come to its end.
    assert log(store, make, task, starts) is None
    claimed = jobs.claim(store, job.id)
    assert log(store, make, task, starts) is None
    store.feedback.mark_seen(task.id, store.feedback.last(task.id))
    jobs.finish(store, claimed)
    assert [log(store, make, task, starts) is not None for _ in range(3)] == [False, False, True]
    assert len(starts.jobs) == 2


def test_a_search_that_failed_does_not_begin_the_count_anew(store: Store, make: Make, task: Task) -> None:
    starts = Starts()
    for _ in range(3):
        log(store, make, task, starts)
    jobs.fail(store, jobs.claim(store, starts.jobs[0].id), "no luck")
    assert log(store, make, task, starts) is not None


def test_feedback_alone_starts_none(store: Store, make: Make, task: Task) -> None:
    for _ in range(4):
        log_feedback(store, task, make.entry(task, {"ticket": "lamp"}), REDACTOR)
    assert store.jobs.newest() == []
    assert store.feedback.count(task.id).fresh == 4


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "stores"])
def test_exactly_once_however_many_log_at_once(
    store: Store, make: Make, tmp_path: Path, processes: bool
) -> None:
    task = make.task(feedback_threshold=40)
    store.tasks.add(task)
    starts = Starts()
    opened = [Store.open(tmp_path / "kaizen.db") if processes else store for _ in range(8)]
    together = threading.Barrier(8)

    def logger(own: Store) -> None:
        together.wait()
        for _ in range(10):
            log(own, make, task, starts)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(logger, opened))
    assert store.feedback.count(task.id).fresh == 80
    assert len(starts.jobs) == 1
    assert [job.id for job in store.jobs.newest()] == [starts.jobs[0].id]
    if processes:
        for own in opened:
            own.close()


def test_exactly_once_when_the_search_ends_between_two_looks(store: Store, make: Make, task: Task) -> None:
    """A logger that saw the threshold reached comes late: the search has been and gone."""
    started: list[Job] = []

    def runs_to_its_end(job: Job) -> None:
        started.append(job)
        claimed = jobs.claim(store, job.id)
        store.feedback.mark_seen(task.id, store.feedback.last(task.id))
        jobs.finish(store, claimed)

    for _ in range(7):
        log(store, make, task, runs_to_its_end)
    assert len(started) == 2
    late = Job(id="late", kind="optimize", task="triage", created_at=started[0].created_at)
    now = started[0].created_at - timedelta(seconds=60)
    assert not store.feedback.add_job_if_due(task, late, silent_since=now)


def test_what_fails_in_starting_never_fails_the_feedback(
    store: Store, make: Make, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(job: Job) -> None:
        raise LLMError(f"no key for {job.task}")

    with caplog.at_level(logging.WARNING, "pytest_kaizen"):
        assert [log(store, make, task, fails) for _ in range(3)] == [None] * 3
    assert "no search for a better prompt of 'triage': no key for triage" in caplog.text
    [job] = store.jobs.newest()
    assert (job.status, job.error) == (JobStatus.FAILED, "no key for triage")
    assert store.feedback.count(task.id).fresh == 3
    # What stands in the way no longer is tried again.
    starts = Starts()
    log(store, make, task, starts)
    assert len(starts.jobs) == 1


def test_inputs_are_those_of_the_schema(store: Store, make: Make) -> None:
    task = make.task(input_schema={"type": "object", "properties": {"ticket": {}, "customer": {}}})
    store.tasks.add(task)
    wrong = make.entry(task, {"ticket": "lamp", "color": "red", "age": 3})
    message = (
        r"inputs of 'triage': missing: customer; unknown: age, color \(its fields are customer, ticket\)"
    )
    with pytest.raises(UsageError, match=message):
        log_feedback(store, task, wrong, REDACTOR)
    log_feedback(store, task, make.entry(task, {"ticket": "lamp", "customer": "Ada"}), REDACTOR)
    log_feedback(store, task, make.entry(task, None, score=0.5), REDACTOR)
    assert store.feedback.count(task.id).total == 2


def test_secrets_are_not_kept(store: Store, make: Make, task: Task) -> None:
    secret = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"
    entry = make.entry(task, {"ticket": secret}, output=f"use {secret}", metadata={"note": secret})
    log_feedback(store, task, entry, REDACTOR)
    [kept] = store.feedback.newest(task.id)
    assert secret not in kept.model_dump_json()
    assert (kept.inputs or {}).keys() == {"ticket"}
