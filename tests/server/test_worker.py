"""The worker by what becomes of jobs: done, taken over, handed back, left to others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.errors import LLMError
from pytest_kaizen.models import Job, JobStatus, Trace
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.insights import Study
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.server import worker as worker_module
from pytest_kaizen.server.worker import KINDS, Assignment, Worker
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import OpenWorkspace
from tests.server.conftest import Book
from tests.server.working import PATIENCE_S, complete, make_worker, until


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def ours(book: Book) -> OpenWorkspace:
    return book.open("ours")


def test_jobs_of_all_workspaces_are_done(book: Book, ours: OpenWorkspace) -> None:
    theirs = book.open("theirs")
    before = jobs.create(ours.store, "odd", "a", {})
    with make_worker(book, complete) as worker:
        until(ours.store, before, JobStatus.COMPLETED)
        after = jobs.create(theirs.store, "odd", "b", {})
        worker.begin(theirs.id)
        assert until(theirs.store, after, JobStatus.COMPLETED).result == {"done": True}


@pytest.mark.parametrize("claimed", [False, True])
def test_a_job_that_cannot_be_done_fails_and_keeps_no_other_from_starting(
    book: Book, ours: OpenWorkspace, claimed: bool
) -> None:
    def breaks(work: Assignment) -> None:
        if claimed:
            with jobs.running(work.store, jobs.claim(work.store, work.job.id)):
                raise LLMError("no key")
        raise LLMError("no key")

    job = jobs.create(ours.store, "odd", "a", {})
    make_worker(book, breaks).work_off(ours)
    known = ours.store.jobs.one(job.id)
    assert (known.status, known.error) == (JobStatus.FAILED, "no key")
    jobs.create(ours.store, "odd", "a", {})


def test_a_kind_that_nobody_knows_fails(book: Book, ours: OpenWorkspace) -> None:
    job = jobs.create(ours.store, "other", "a", {})
    make_worker(book, complete).work_off(ours)
    assert ours.store.jobs.one(job.id).error == "KeyError: 'other'"


def test_what_a_job_leaves_to_be_done_is_begun_at_once(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_SWEEP_S", 10.0 * PATIENCE_S)

    def leaves(work: Assignment) -> None:
        complete(work)
        if work.job.task == "first":
            jobs.create(work.store, "odd", "second", {})

    job = jobs.create(ours.store, "odd", "first", {})
    with make_worker(book, leaves) as worker:
        worker.begin(ours.id)
        until(ours.store, job, JobStatus.COMPLETED)
        end = time.monotonic() + PATIENCE_S
        while not ours.store.jobs.newest("second", status="completed"):
            assert time.monotonic() < end
            time.sleep(0.02)


def test_no_more_at_once_than_allowed(book: Book, ours: OpenWorkspace) -> None:
    gate, lock = threading.Event(), threading.Lock()
    most = now = 0

    def slow(work: Assignment) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(PATIENCE_S)
        complete(work)
        with lock:
            now -= 1

    waiting = [jobs.create(ours.store, "odd", str(number), {}) for number in range(5)]
    with make_worker(book, slow, at_once=2):
        while now < 2:
            time.sleep(0.01)
        gate.set()
        for job in waiting:
            until(ours.store, job, JobStatus.COMPLETED)
    assert most == 2


def test_a_job_that_ends_while_the_worker_looks_is_not_begun_again(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go, done = threading.Event(), threading.Event(), []
    read = jobs.waiting

    def note(work: Assignment) -> None:
        done.append(work.job.task)
        began.set()
        assert go.wait(PATIENCE_S)
        complete(work)

    def waiting(store: Store) -> list[Job]:
        """What was read a while ago."""
        found = read(store)
        if found and began.is_set() and not go.is_set():
            go.set()
            until(ours.store, first, JobStatus.COMPLETED)
            while worker._mine:
                time.sleep(0.01)
        return found

    monkeypatch.setattr(jobs, "waiting", waiting)
    first = jobs.create(ours.store, "odd", "first", {})
    with make_worker(book, note) as worker:
        assert began.wait(PATIENCE_S)
        worker.begin(ours.id)
        until(ours.store, first, JobStatus.COMPLETED)
        second = jobs.create(ours.store, "odd", "second", {})
        worker.begin(ours.id)
        until(ours.store, second, JobStatus.COMPLETED)
    assert done == ["first", "second"]


def test_who_came_first_is_first_in_all_workspaces(book: Book, ours: OpenWorkspace) -> None:
    done: list[str] = []

    def note(work: Assignment) -> None:
        done.append(work.job.task)
        complete(work)

    places = [ours, book.open("theirs"), ours, book.open("theirs"), ours]
    waiting = [jobs.create(place.store, "odd", str(n), {}) for n, place in enumerate(places)]
    # What was stored before any worker was there is found by the first that is.
    with make_worker(book, note, at_once=1):
        for place, job in zip(places, waiting, strict=True):
            until(place.store, job, JobStatus.COMPLETED)
    assert done == ["0", "1", "2", "3", "4"]


def test_a_failure_that_may_pass_puts_a_job_off(book: Book, ours: OpenWorkspace) -> None:
    """Each time for longer, and not forever; any other failure ends it at once."""
    failures: list[Exception] = [LLMError("overloaded", status=529, transient=True)] * (jobs.RETRIES + 1)

    def breaks(work: Assignment) -> None:
        with jobs.running(work.store, jobs.claim(work.store, work.job.id)):
            raise failures.pop()

    worker = make_worker(book, breaks)
    job = jobs.create(ours.store, "odd", "a", {})
    waits: list[float] = []
    for _ in range(jobs.RETRIES):
        began = datetime.now(UTC)
        worker.work_off(ours)
        known = ours.store.jobs.one(job.id)
        assert (known.status, known.error) == (JobStatus.QUEUED, None)
        assert known.step.endswith("UTC: overloaded")
        assert known.not_before is not None
        waits.append((known.not_before - began).total_seconds())
        left = len(failures)
        worker.work_off(ours)
        assert len(failures) == left  # It is not its time.
        claimed = jobs.claim(ours.store, job.id)
        ours.store.jobs.write(claimed.model_copy(update={"status": JobStatus.QUEUED}), began)
    assert [round(wait / 60) for wait in waits] == [0, 1, 4, 16]
    worker.work_off(ours)
    known = ours.store.jobs.one(job.id)
    assert (known.status, known.error, failures) == (JobStatus.FAILED, "overloaded", [])

    for failure, retries in ((LLMError("no key"), jobs.RETRIES), (LLMError("busy", transient=True), 0)):
        failures.append(failure)
        other = jobs.create(ours.store, "odd", "b", {}, retries=retries)
        worker.work_off(ours)
        assert ours.store.jobs.one(other.id).status is JobStatus.FAILED


def test_a_server_that_stops_hands_its_jobs_back(book: Book, ours: OpenWorkspace) -> None:
    began = threading.Event()

    def steps(work: Assignment) -> None:
        with jobs.running(work.store, jobs.claim(work.store, work.job.id)):
            began.set()
            while True:
                work.pause()
                time.sleep(0.01)

    job = jobs.create(ours.store, "odd", "a", {})
    with make_worker(book, steps):
        assert began.wait(PATIENCE_S)
    assert ours.store.jobs.one(job.id).status is JobStatus.QUEUED
    make_worker(book, complete).work_off(ours)
    assert ours.store.jobs.one(job.id).status is JobStatus.COMPLETED


def test_a_job_under_way_elsewhere_or_stopped_is_left_alone(book: Book, ours: OpenWorkspace) -> None:
    running = jobs.start(ours.store, "odd", "a", {})
    stopped = jobs.create(ours.store, "odd", "b", {})
    jobs.stop(ours.store, stopped.id)
    make_worker(book, complete).work_off(ours)
    assert ours.store.jobs.one(running.id).owner == running.owner
    assert ours.store.jobs.one(stopped.id).status is JobStatus.STOPPED


def test_a_job_for_which_no_thread_is_to_be_had_is_begun_later(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, failed = threading.Thread.start, threading.Event()

    def full(thread: threading.Thread) -> None:
        if thread.name.startswith("kaizen-job-") and not failed.is_set():
            failed.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    job = jobs.create(ours.store, "odd", "a", {})
    with make_worker(book, complete) as worker:
        assert failed.wait(PATIENCE_S)
        worker.begin(ours.id)
        until(ours.store, job, JobStatus.COMPLETED)


def test_a_workspace_that_breaks_keeps_no_other_waiting(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = book.open("theirs")
    get = book.workspaces.get

    def broken(workspace_id: str) -> OpenWorkspace:
        if workspace_id == theirs.id:
            raise RuntimeError("not as expected")
        return get(workspace_id)

    monkeypatch.setattr(book.workspaces, "get", broken)
    with make_worker(book, complete) as worker:
        worker.begin(theirs.id)
        job = jobs.create(ours.store, "odd", "a", {})
        worker.begin(ours.id)
        until(ours.store, job, JobStatus.COMPLETED)


def test_a_key_that_came_with_a_job_reaches_any_worker_and_goes_with_its_end(
    book: Book, ours: OpenWorkspace
) -> None:
    given: list[str] = []

    def note(work: Assignment) -> None:
        assert work.key is not None
        assert "secret-key" not in repr(work)
        given.append(work.key.get_secret_value())
        assert kept(ours.store, work.job)
        complete(work)

    def kept(store: Store, job: Job) -> bool:
        return bool(store.sealed.shown("job", job.id))

    def ask(task: str) -> Job:
        return jobs.create(ours.store, "odd", task, {"own_key": True}, key="secret-key")

    done = ask("a")
    make_worker(book, note).work_off(ours)
    assert (ours.store.jobs.one(done.id).status, given) == (JobStatus.COMPLETED, ["secret-key"])
    cancelled, dead = ask("b"), ask("c")
    jobs.stop(ours.store, cancelled.id)
    claimed = jobs.claim(ours.store, dead.id)
    ours.store.jobs.write(claimed, datetime.now(UTC) - timedelta(seconds=2 * jobs.LEASE_S))
    assert kept(ours.store, dead)
    jobs.create(ours.store, "odd", "c", {})  # It takes the place of the dead one.
    assert [kept(ours.store, job) for job in (done, cancelled, dead)] == [False] * 3

    gone = ask("d")
    ours.store.sealed.forget("job", gone.id)
    make_worker(book, note).work_off(ours)
    known = ours.store.jobs.one(gone.id)
    assert known.status is JobStatus.FAILED
    assert (known.error or "").endswith("is gone; ask anew, with the key")


def lessons(request: Request) -> str:
    if "relations" in (request.schema or {}).get("properties", {}):
        return json.dumps({"relations": []})
    texts = dict.fromkeys(("justification", "criterion", "section", "when", "replaces"), "")
    rule = f"Rule {len(request.last_user_text)}."
    return json.dumps({"lessons": [{**texts, "evidence": [1], "confidence": "high", "rule": rule}]})


@contextmanager
def worker_process(place: Path | str, *, lease_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process with a worker, which the end of the block kills."""
    command = [sys.executable, str(Path(__file__).with_name("killed.py")), str(place), str(lease_s)]
    with subprocess.Popen(command, env=dict(os.environ)) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_worker_is_taken_over_by_another_and_nothing_is_paid_twice(
    book: Book, ours: OpenWorkspace, place: Path | str, model: ScriptedLLM
) -> None:
    traces = [
        Trace(
            id=f"t{number:02}", name="t", created_at=datetime.now(UTC), output=f"{number:02}" * (number + 1)
        )
        for number in range(20)
    ]
    ours.store.shelf.add(traces)
    ids = [trace.id for trace in traces]
    study = Study({"default": ids}, "claude-haiku-4-5", mode="standard")
    # The third answer comes only when the process that asked for it is gone.
    killed = threading.Event()

    def answer(request: Request) -> str:
        if len(model.requests) >= 3:
            killed.wait(PATIENCE_S)
        return lessons(request)

    model.reply(answer)
    job = jobs.create(ours.store, jobs.INSIGHTS, study.task, study.settings)
    with worker_process(place, lease_s=60) as process:
        end = time.monotonic() + PATIENCE_S
        while len(model.requests) < 3:
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        first = ours.store.jobs.one(job.id)
    assert process.returncode == -signal.SIGKILL
    killed.set()
    assert first.status is JobStatus.RUNNING
    assert first.spend.calls > 0
    paid = [json.dumps(request.body, sort_keys=True) for request in model.requests]

    config = Config(root=Path(), store=Path("unused.db"))
    Worker(config, book.workspaces, KINDS).work_off(ours)
    assert ours.store.jobs.one(job.id).owner == first.owner  # It may live: it showed so just now.
    with worker_process(place, lease_s=0.5) as successor:
        done = until(ours.store, job, JobStatus.COMPLETED)
    assert done.error is None
    assert (done.owner or "").split(":")[1] == str(successor.pid) != str(process.pid)
    asked = Counter(json.dumps(request.body, sort_keys=True) for request in model.requests)
    # The one that was under way when the process was killed had no answer to keep.
    assert {text for text, times in asked.items() if times > 1} == {paid[2]}
    assert asked[paid[2]] == 2
    assert len(model.requests) > len(paid) + 1
    assert len(ours.store.insights()) == done.result["skillsGenerated"]
