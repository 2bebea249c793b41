"""Jobs in the store: one active per task and kind, written by their owner alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_kaizen.errors import JobError, StoreError
from pytest_kaizen.models import Job, JobStatus, Spend
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=5)


def job(name: str, **fields: Any) -> Job:
    return Job(**{"id": name, "kind": "optimize", "task": "sum", "created_at": NOW, **fields})


def held(name: str, **fields: Any) -> Job:
    return job(name, **{"status": JobStatus.RUNNING, "owner": "host:1:a", "heartbeat_at": NOW, **fields})


def test_a_job_comes_back_as_it_was_stored(store: Store) -> None:
    stored = held("1", settings={"seed": 3}, spend=Spend(calls=2, usd=0.5), started_at=NOW)
    store.jobs.add(stored, silent_since=BEFORE)
    assert store.jobs.one("1") == stored
    assert store.jobs.one("last") == stored
    with pytest.raises(StoreError, match=r"no job '2'; the newest are 1"):
        store.jobs.one("2")


def test_a_job_is_found_by_its_id_or_uuid(store: Store) -> None:
    first, second = job("1"), job("20260301-12", task="other")
    for stored in (first, second):
        store.jobs.add(stored, silent_since=BEFORE)
    assert store.jobs.find("1") == store.jobs.find(str(first.uuid)) == first
    assert store.jobs.find(str(second.uuid)) == second
    assert [store.jobs.find(given) for given in ("2", "last", "None", str(job("3").uuid))] == [None] * 4


def test_one_job_of_a_kind_is_active_per_task(store: Store) -> None:
    store.jobs.add(job("1"), silent_since=BEFORE)
    with pytest.raises(
        JobError, match=r"job 1 \(optimize for 'sum'\) is queued since 2026-03-01 12:00:00 UTC"
    ):
        store.jobs.add(job("2"), silent_since=LATER)
    with pytest.raises(JobError, match="job 1 "):
        store.jobs.require_free("optimize", "sum", silent_since=LATER)
    store.jobs.require_free("insights", "sum", silent_since=LATER)
    store.jobs.add(job("3", task="other"), silent_since=BEFORE)
    store.jobs.add(job("4", kind="insights"), silent_since=BEFORE)
    store.jobs.stop("1", NOW)
    store.jobs.add(job("2"), silent_since=BEFORE)
    assert [found.id for found in store.jobs.newest("sum")] == ["2", "4", "1"]
    assert [found.id for found in store.jobs.newest("sum", kind="optimize", status="queued")] == ["2"]
    with pytest.raises(JobError, match="job 2 "):
        store.jobs.claim("1", "host:2:b", NOW, silent_since=BEFORE)
    assert store.jobs.one("1").status is JobStatus.STOPPED


def test_a_dead_job_gives_way_to_a_new_one(store: Store) -> None:
    store.jobs.add(held("1"), silent_since=BEFORE)
    with pytest.raises(
        JobError, match=r"under way; its process host:1:a showed a sign of life at 2026-03-01"
    ):
        store.jobs.add(held("2"), silent_since=BEFORE)
    store.jobs.add(held("2", owner="host:2:b", heartbeat_at=LATER), silent_since=LATER)
    dead = store.jobs.one("1")
    assert (dead.status, dead.finished_at) == (JobStatus.STOPPED, NOW)
    assert store.jobs.one("2").status is JobStatus.RUNNING


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.STOPPED, JobStatus.FAILED])
def test_a_job_is_claimed_once(store: Store, status: JobStatus) -> None:
    store.jobs.add(job("1", status=status, error="no key", finished_at=NOW), silent_since=BEFORE)
    claimed = store.jobs.claim("1", "host:2:b", NOW, silent_since=BEFORE)
    assert claimed == store.jobs.one("1")
    assert (claimed.status, claimed.owner, claimed.started_at) == (JobStatus.RUNNING, "host:2:b", NOW)
    assert (claimed.error, claimed.finished_at) == (None, None)
    with pytest.raises(JobError, match="its process host:2:b"):
        store.jobs.claim("1", "host:3:c", NOW, silent_since=BEFORE)


def test_a_completed_job_is_not_claimed(store: Store) -> None:
    store.jobs.add(job("1", status=JobStatus.COMPLETED), silent_since=BEFORE)
    with pytest.raises(JobError, match="job 1 has been completed"):
        store.jobs.claim("1", "host:2:b", NOW, silent_since=BEFORE)


def test_only_the_owner_of_a_running_job_writes_it(store: Store) -> None:
    first = held("1")
    store.jobs.add(first, silent_since=BEFORE)
    store.jobs.write(first.model_copy(update={"step": "reading"}), LATER)
    assert (store.jobs.one("1").step, store.jobs.one("1").heartbeat_at) == ("reading", LATER)
    assert store.jobs.beat("1", "host:1:a", NOW)

    store.jobs.claim("1", "host:2:b", LATER, silent_since=LATER)
    assert not store.jobs.beat("1", "host:1:a", LATER)
    with pytest.raises(JobError, match="job 1 was stopped, or another process has gone on with it"):
        store.jobs.write(first.model_copy(update={"status": JobStatus.FAILED}), LATER)
    assert (store.jobs.one("1").owner, store.jobs.one("1").status) == ("host:2:b", JobStatus.RUNNING)

    assert store.jobs.stop("1", LATER).status is JobStatus.STOPPED
    assert not store.jobs.beat("1", "host:2:b", LATER)
    assert store.jobs.stop("1", NOW).finished_at == LATER


def test_statuses_that_end_a_job() -> None:
    assert [status.value for status in JobStatus if status.final] == ["completed", "failed", "stopped"]
