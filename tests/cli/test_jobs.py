"""``kaizen jobs``, on this machine and over a server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import Job, JobStatus, Spend
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import Workspaces
from tests.cli.conftest import Served, Side

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Keep = Callable[..., None]


@contextmanager
def opened(side: str, project: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """The store that the commands work on, from beside."""
    if side == "here":
        with Store.open(project / ".kaizen/kaizen.db") as store:
            yield store
        return
    served: Served = request.getfixturevalue("served")
    workspaces = Workspaces.open(served.folder)
    try:
        (place,) = workspaces.central.workspaces()
        yield workspaces.get(place.id).store
    finally:
        workspaces.close()


@pytest.fixture
def store(side: Side, project: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    assert side.cli("jobs", "list")[0] == 0
    with opened(request.node.callspec.params["side"], project, request) as found:
        yield found


def keep(store: Store, job_id: str, **fields: Any) -> Job:
    job = Job(
        **{
            "id": job_id,
            "kind": "insights",
            "task": "default",
            "status": JobStatus.COMPLETED,
            "created_at": NOW,
            "started_at": NOW,
            "finished_at": NOW + timedelta(minutes=1),
            "spend": Spend(calls=3, usd=0.25),
            **fields,
        }
    )
    store.jobs.add(job, silent_since=NOW)
    return job


def keep_running(store: Store, job_id: str) -> Job:
    """A job that a process elsewhere has."""
    more = {"status": JobStatus.RUNNING, "finished_at": None, "owner": "elsewhere:1:abc", "step": "epoch 1"}
    return keep(store, job_id, heartbeat_at=datetime.now(UTC), **more)


def asked(side: Side, *arguments: str, status: int = 0) -> Any:
    found, out, err = side.cli(*arguments, "--json")
    assert (found, err) == (status, "")
    return json.loads(out)


def test_a_list(side: Side, store: Store) -> None:
    assert side.cli("jobs", "list") == (0, "no jobs\n", "")
    keep(store, "20260301-1")
    keep(store, "20260301-2", kind="optimize", task="sum", status=JobStatus.FAILED, error="no \x1b[31mkey")
    keep_running(store, "20260301-3")
    found = asked(side, "jobs", "list")
    assert [job["jobId"] for job in found] == ["20260301-3", "20260301-2", "20260301-1"]
    assert found[2] == asked(side, "jobs", "show", "20260301-1")
    assert found[2] == {
        "jobId": "20260301-1",
        "status": "completed",
        "startedAt": "2026-03-01T12:00:00Z",
        "completedAt": "2026-03-01T12:01:00Z",
        "createdAt": "2026-03-01T12:00:00Z",
        "kind": "insights",
        "task": "default",
        "step": "",
        "spend": {"rollouts": 0, "calls": 3, "usd": 0.25},
    }
    assert asked(side, "jobs", "list", "--task", "sum") == [found[1]]
    assert asked(side, "jobs", "list", "--kind", "insights") == [found[0], found[2]]
    assert asked(side, "jobs", "list", "--limit", "1") == [found[0]]
    rows = [line.split() for line in side.cli("jobs", "list")[1].splitlines()[2:]]
    assert [row[:4] for row in rows] == [
        ["20260301-3", "insights", "default", "running"],
        ["20260301-2", "optimize", "sum", "failed"],
        ["20260301-1", "insights", "default", "completed"],
    ]
    assert (rows[0][4:6], rows[1][4:6]) == (["epoch", "1"], ["no", r"\x1b[31mkey"])


def test_a_job_that_failed_exits_1(side: Side, store: Store) -> None:
    keep(store, "20260301-1", status=JobStatus.FAILED, error="no key")
    assert asked(side, "jobs", "show", "20260301-1", status=1)["error"] == "no key"
    status, out, err = side.cli("jobs", "wait", "20260301-1")
    assert (status, err) == (1, "")
    assert "error    no key\n" in out


def test_only_here_a_command_goes_on_with_a_job(
    side: Side, store: Store, request: pytest.FixtureRequest
) -> None:
    keep(store, "20260301-1", status=JobStatus.FAILED, error="no key")
    here = request.node.callspec.params["side"] == "here"
    assert ("kaizen run --resume 20260301-1" in side.cli("jobs", "show", "20260301-1")[1]) is here


def test_waiting_for_the_end(side: Side, store: Store) -> None:
    job = keep_running(store, "20260301-1")

    def write() -> None:
        time.sleep(0.3)
        store.jobs.write(
            job.model_copy(update={"status": JobStatus.COMPLETED, "result": {"summary": "done"}}),
            datetime.now(UTC),
        )

    ending = threading.Thread(target=write)
    ending.start()
    found = asked(side, "jobs", "wait", job.id, "--interval", "0.05")
    ending.join()
    assert (found["status"], found["result"]) == ("completed", {"summary": "done"})


def test_a_job_is_stopped(side: Side, store: Store) -> None:
    job = keep_running(store, "20260301-1")
    stopped = asked(side, "jobs", "cancel", job.id)
    assert stopped["jobId"] == job.id
    # A platform has no word for it.
    assert stopped["status"] in ("stopped", "failed")
    assert store.jobs.one(job.id).status is JobStatus.STOPPED
    status, out, err = side.cli("jobs", "cancel", job.id)
    assert (status, out) == (1, "")
    assert f"job {job.id} has come to an end already: {stopped['status']}" in err


def test_a_job_that_is_not_there(side: Side) -> None:
    for command in ("show", "wait", "cancel"):
        status, out, err = side.cli("jobs", command, "20270101-1")
        assert (status, out, "20270101-1" in err) == (1, "", True), err
