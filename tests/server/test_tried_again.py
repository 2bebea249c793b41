"""What keeps a job from beginning, or from failing: what passes is waited for, what lasts fails it."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from pytest_kaizen.config import Config
from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Job, JobStatus
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server import worker as worker_module
from pytest_kaizen.server.worker import KINDS, Assignment, Worker
from pytest_kaizen.store import Store, sealed
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


@pytest.mark.parametrize("where", ["key", "before", "claim", "answer"])
def test_a_job_that_a_passing_failure_of_the_store_keeps_from_beginning_is_tried_again(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(worker_module, "_AGAIN_S", 0.2)
    monkeypatch.setattr(worker_module, "_SWEEP_S", 0.05)
    monkeypatch.setattr(jobs, "LEASE_S", 0.5)
    lost = [StoreError("the connection was lost", transient=True) for _ in range(2)]

    def breaks_in(place: str) -> None:
        if lost and place == where:
            raise lost.pop()

    own_key, claim = jobs.own_key, jobs.claim

    def key_of(store: Store, job: Job) -> SecretStr | None:
        breaks_in("key")
        return own_key(store, job)

    def claimed(store: Store, job_id: str) -> Job:
        breaks_in("claim")
        mine = claim(store, job_id)
        breaks_in("answer")  # It is stored, and nobody here knows.
        return mine

    def do(work: Assignment) -> None:
        breaks_in("before")
        complete(work)

    monkeypatch.setattr(jobs, "own_key", key_of)
    monkeypatch.setattr(jobs, "claim", claimed)
    job = jobs.create(ours.store, "odd", "a", {})
    with make_worker(book, do):
        assert until(ours.store, job, JobStatus.COMPLETED).result == {"done": True}
    assert lost == []


def test_a_job_that_is_to_be_tried_again_keeps_no_other_waiting(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_AGAIN_S", 10.0 * PATIENCE_S)
    tried: list[str] = []

    def do(work: Assignment) -> None:
        tried.append(work.job.task)
        if work.job.task == "locked":
            raise StoreError("locked", transient=True)
        complete(work)

    locked = jobs.create(ours.store, "odd", "locked", {})
    other = jobs.create(ours.store, "odd", "other", {})
    with make_worker(book, do, at_once=1):
        until(ours.store, other, JobStatus.COMPLETED)
    assert tried == ["locked", "other"]
    known = ours.store.jobs.one(locked.id)
    assert (known.status, known.error) == (JobStatus.QUEUED, None)


def test_a_job_whose_failure_cannot_be_stored_yet_fails_later(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_AGAIN_S", 0.2)
    monkeypatch.setattr(worker_module, "_SWEEP_S", 0.05)
    give_up, lost = jobs.give_up, [StoreError("locked", transient=True)]

    def given_up(store: Store, job_id: str, error: str) -> None:
        if lost:
            raise lost.pop()
        give_up(store, job_id, error)

    monkeypatch.setattr(jobs, "give_up", given_up)
    job = jobs.create(ours.store, "other", "a", {})
    with make_worker(book, complete):
        assert until(ours.store, job, JobStatus.FAILED).error == "KeyError: 'other'"


def test_a_key_that_cannot_be_decrypted_fails_its_job(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sealed.KEY_VARIABLE, base64.b64encode(bytes(32)).decode())
    job = jobs.create(ours.store, "odd", "a", {"own_key": True}, key="secret-key")
    monkeypatch.setenv(sealed.KEY_VARIABLE, base64.b64encode(bytes([1] * 32)).decode())
    make_worker(book, complete).work_off(ours)
    known = ours.store.jobs.one(job.id)
    assert known.status is JobStatus.FAILED
    assert "was encrypted with another key" in (known.error or "")


def test_prices_that_cannot_be_read_fail_a_job(book: Book, ours: OpenWorkspace, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("[", encoding="utf-8")
    config = Config(root=Path(), store=Path("unused.db"), prices=prices)
    job = jobs.create(ours.store, jobs.ANALYSIS, "a", {"traces": [], "model": "m", "question": ""})
    Worker(config, book.workspaces, KINDS).work_off(ours)
    known = ours.store.jobs.one(job.id)
    assert known.status is JobStatus.FAILED
    assert str(prices) in (known.error or "")


@pytest.mark.parametrize("lives", [True, False])
def test_a_job_that_takes_long_is_taken_over_only_from_a_process_that_died(
    book: Book, ours: OpenWorkspace, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    """Longer than the lease: the process that has it renews that, as long as it lives."""
    monkeypatch.setattr(jobs, "BEAT_S", 0.01 if lives else 10.0 * PATIENCE_S)
    taken: list[str] = []
    ended: list[JobStatus] = []
    began = datetime.now(UTC)

    def long(work: Assignment) -> None:
        with jobs.running(work.store, jobs.claim(work.store, work.job.id)) as job:
            taken.append("first")
            work.store.jobs.write(job, began - timedelta(seconds=2 * jobs.LEASE_S))
            end = time.monotonic() + PATIENCE_S
            while lives and (work.store.jobs.one(job.id).heartbeat_at or began) < began:
                assert time.monotonic() < end
                time.sleep(0.01)
            make_worker(book, other).work_off(ours)
            ended.append(work.store.jobs.one(job.id).status)
            job.result = {"by": "first"}

    def other(work: Assignment) -> None:
        with jobs.running(work.store, jobs.claim(work.store, work.job.id)) as job:
            taken.append("other")
            job.result = {"by": "other"}

    job = jobs.create(ours.store, "odd", "a", {})
    make_worker(book, long).work_off(ours)
    by = "first" if lives else "other"
    assert ours.store.jobs.one(job.id).result == {"by": by}
    assert taken == (["first"] if lives else ["first", "other"])
    assert ended == [JobStatus.RUNNING if lives else JobStatus.COMPLETED]
