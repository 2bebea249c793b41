"""Jobs by what a caller sees: how they start, how they end, and who may go on with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_kaizen.errors import JobError, LLMError
from pytest_kaizen.models import Job, JobStatus, Spend
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


def _silence(store: Store, job: Job) -> None:
    """Make a job look as if its process had died."""
    long_ago = datetime.now(UTC) - timedelta(seconds=2 * jobs.LEASE_S)
    store.jobs.write(job, long_ago)


def test_a_job_from_its_start_to_its_end(store: Store) -> None:
    job = jobs.start(store, "insights", "greet", {"epochs": 2}, "threshold")
    with jobs.running(store, job) as work:
        jobs.progress(store, work, "reading", Spend(calls=1, usd=0.25))
        seen = jobs.look_up(store, job.id)
        assert (seen.status, seen.step, seen.spend.usd) == (JobStatus.RUNNING, "reading", 0.25)
        with pytest.raises(JobError, match="is under way"):
            jobs.require_free(store, "insights", "greet")
        with pytest.raises(JobError, match="is under way"):
            jobs.create(store, "insights", "greet", {})
        work.spend.calls = 3
        work.result = {"skillsGenerated": 2}
    done = jobs.look_up(store, job.id)
    assert (done.status, done.triggered_by, done.settings) == (
        JobStatus.COMPLETED,
        "threshold",
        {"epochs": 2},
    )
    assert (done.spend.calls, done.result, done.error) == (3, {"skillsGenerated": 2}, None)
    assert done.finished_at is not None
    jobs.require_free(store, "insights", "greet")
    assert jobs.newest(store, "optimize", "greet") is None


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (LLMError("no key"), JobStatus.FAILED, "no key"),
        (ValueError("odd"), JobStatus.FAILED, "ValueError: odd"),
        (KeyboardInterrupt(), JobStatus.STOPPED, None),
    ],
)
def test_what_breaks_a_job_off_is_kept_and_it_can_be_gone_on_with(
    store: Store, raised: BaseException, status: JobStatus, error: str | None
) -> None:
    job = jobs.start(store, "insights", "greet", {})

    def breaks() -> None:
        with jobs.running(store, job) as work:
            work.spend.usd = 0.5
            raise raised

    with pytest.raises(type(raised)):
        breaks()
    ended = jobs.look_up(store, "last")
    assert (ended.status, ended.error, ended.spend.usd) == (status, error, 0.5)
    assert "kaizen-job" not in {thread.name for thread in threading.enumerate()}
    again = jobs.claim(store, job.id)
    with jobs.running(store, again):
        pass
    assert jobs.look_up(store, job.id).status is JobStatus.COMPLETED
    with pytest.raises(JobError, match="has been completed"):
        jobs.claim(store, job.id)


def test_a_job_that_waits_is_claimed(store: Store) -> None:
    waiting = jobs.create(store, "insights", "greet", {})
    assert waiting.status is JobStatus.QUEUED
    claimed = jobs.claim(store, waiting.id)
    assert claimed.owner is not None
    with pytest.raises(JobError, match="is under way"):
        jobs.claim(store, waiting.id)


def test_a_dead_job_counts_as_stopped_and_its_process_has_lost_it(store: Store) -> None:
    first = jobs.start(store, "insights", "greet", {})
    assert jobs.look_up(store, first.id).status is JobStatus.RUNNING
    _silence(store, first)
    seen = jobs.newest(store, "insights", "greet")
    assert seen is not None
    assert (seen.status, seen.finished_at) == (JobStatus.STOPPED, seen.heartbeat_at)
    jobs.require_free(store, "insights", "greet")
    second = jobs.claim(store, first.id)
    assert second.owner != first.owner
    with pytest.raises(JobError, match="another process has gone on with it"):
        jobs.progress(store, first, "reading", Spend())
    with pytest.raises(JobError, match="another process"), jobs.running(store, first):
        pass
    assert jobs.look_up(store, first.id).status is JobStatus.RUNNING


def test_a_job_that_is_stopped_from_outside_ends_with_the_next_thing_it_stores(store: Store) -> None:
    job = jobs.start(store, "insights", "greet", {})

    def is_stopped() -> None:
        with jobs.running(store, job) as work:
            assert jobs.stop(store, job.id).status is JobStatus.STOPPED
            jobs.progress(store, work, "reading", Spend())

    with pytest.raises(JobError, match="was stopped"):
        is_stopped()
    assert jobs.look_up(store, job.id).status is JobStatus.STOPPED


def test_a_running_job_shows_that_it_lives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BEAT_S", 0.01)
    beats: list[str] = []
    enough = threading.Event()
    beat = store.jobs.beat

    def counted(job_id: str, owner: str, now: datetime, status: JobStatus) -> bool:
        beats.append(job_id)
        if len(beats) == 2:
            enough.set()
        return beat(job_id, owner, now, status)

    monkeypatch.setattr(store.jobs, "beat", counted)
    job = jobs.start(store, "insights", "greet", {})
    with jobs.running(store, job):
        assert enough.wait(60)
        seen = store.jobs.one(job.id).heartbeat_at
    assert seen is not None
    assert job.heartbeat_at is not None
    assert seen > job.heartbeat_at


def test_what_waits_for_a_process(store: Store) -> None:
    queued = jobs.create(store, "insights", "a", {})
    dead = jobs.start(store, "insights", "b", {})
    _silence(store, dead)
    jobs.start(store, "insights", "c", {})
    jobs.stop(store, jobs.create(store, "insights", "d", {}).id)
    assert [job.id for job in jobs.waiting(store)] == [queued.id, dead.id]


def test_a_job_that_is_handed_back_waits_for_another_process(store: Store) -> None:
    job = jobs.start(store, "insights", "a", {})
    jobs.progress(store, job, "half of it", Spend(calls=2))
    with pytest.raises(jobs.HandedBack), jobs.running(store, job):
        raise jobs.HandedBack
    [waiting] = jobs.waiting(store)
    assert (waiting.status, waiting.spend.calls, waiting.finished_at) == (JobStatus.QUEUED, 2, None)
    assert jobs.claim(store, job.id).owner != job.owner


def test_giving_up_a_job(store: Store) -> None:
    """It fails, unless a process has it or it has come to its end."""
    queued = jobs.create(store, "insights", "a", {})
    alive = jobs.start(store, "insights", "b", {})
    ended = jobs.stop(store, jobs.create(store, "insights", "c", {}).id)
    for job in (queued, alive, ended):
        jobs.give_up(store, job.id, "cannot be begun")
    found = [store.jobs.one(job.id) for job in (queued, alive, ended)]
    assert [job.status for job in found] == [JobStatus.FAILED, JobStatus.RUNNING, JobStatus.STOPPED]
    assert [job.error for job in found] == ["cannot be begun", None, None]


def _completed(store: Store) -> Job:
    job = jobs.start(store, "optimize", "greet", {})
    job.result = {"sentence": "better"}
    jobs.finish(store, job)
    return store.jobs.one(job.id)


def _wait_for_a_beat(store: Store, job: Job) -> None:
    since, end = datetime.now(UTC), time.monotonic() + 60
    while (store.jobs.one(job.id).heartbeat_at or since) <= since:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_job_that_is_amended_for_long_stays_with_who_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_S", 0.01)
    job = _completed(store)
    with jobs.held(store, job) as mine:
        store.jobs.amend(mine.model_copy(update={"heartbeat_at": mine.finished_at}))
        _wait_for_a_beat(store, job)
        with pytest.raises(JobError, match=f"is being amended by {mine.owner}; try again when that is done"):
            jobs.held(store, job).__enter__()
        mine.result = {**mine.result, "pull_request": {"url": "u"}}
    known = store.jobs.one(job.id)
    assert known == mine
    assert known.result == {"sentence": "better", "pull_request": {"url": "u"}}
    with jobs.held(store, job):
        pass


def test_who_dies_while_it_amends_a_job_lets_go_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BEAT_S", 600)
    job = _completed(store)

    def is_silent(mine: Job, seconds: float) -> None:
        now = datetime.now(UTC)
        signs = {"heartbeat_at": now - timedelta(seconds=seconds), "finished_at": now - timedelta(days=1)}
        store.jobs.amend(mine.model_copy(update=signs))

    def wakes_up_too_late() -> None:
        with jobs.held(store, job) as mine:
            is_silent(mine, jobs.LEASE_S / 2)
            with pytest.raises(JobError, match="is being amended"):
                jobs.held(store, job).__enter__()
            is_silent(mine, 2 * jobs.LEASE_S)
            with jobs.held(store, job) as other:
                other.result = {"in": "time"}
            mine.result = {"too": "late"}

    with pytest.raises(JobError, match="another process's"):
        wakes_up_too_late()
    assert store.jobs.one(job.id).result == {"in": "time"}


def test_what_breaks_while_a_job_is_amended_leaves_it_as_it_was(store: Store) -> None:
    job = _completed(store)

    def breaks() -> None:
        with jobs.held(store, job) as mine:
            mine.result = {}
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        breaks()
    assert store.jobs.one(job.id).result == {"sentence": "better"}
    with jobs.held(store, job):
        pass


def test_only_a_job_that_is_done_is_amended(store: Store) -> None:
    job = jobs.start(store, "optimize", "greet", {})
    with pytest.raises(JobError, match="is not completed"):
        jobs.held(store, job).__enter__()
