"""``kaizen status`` and ``kaizen materialize``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import Job, JobStatus, Spend
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.store import Store

Cli = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(project: Path) -> Iterator[Store]:
    with Store.open(project / ".kaizen/kaizen.db") as opened:
        yield opened


def put(store: Store, **fields: Any) -> Job:
    result = {
        "skillsGenerated": 2,
        "summary": "2 new insights",
        "materialized": False,
        "insights": ["a", "b"],
    }
    job = Job(
        **{
            "id": "20260301-1",
            "kind": "insights",
            "task": "default",
            "status": JobStatus.COMPLETED,
            "created_at": NOW,
            "started_at": NOW,
            "finished_at": NOW + timedelta(minutes=1),
            "spend": Spend(calls=3, usd=0.25),
            "result": result,
            **fields,
        }
    )
    store.jobs.add(job, silent_since=NOW)
    return job


def test_a_job_that_is_done(cli: Cli, store: Store) -> None:
    put(store)
    assert cli("status", "2026") == (
        0,
        "job      20260301-1\n"
        "kind     insights for default\n"
        "status   completed\n"
        "started  2026-03-01T12:00:00Z\n"
        "ended    2026-03-01T12:01:00Z\n"
        "spent    $0.2500, 3 calls\n"
        "result   2 new insights\n",
        "",
    )
    _, out, _ = cli("status", "last", "--json", "--wait")
    assert json.loads(out) == {
        "jobId": "20260301-1",
        "status": "completed",
        "startedAt": "2026-03-01T12:00:00Z",
        "completedAt": "2026-03-01T12:01:00Z",
        "createdAt": "2026-03-01T12:00:00Z",
        "kind": "insights",
        "task": "default",
        "step": "",
        "spend": {"rollouts": 0, "calls": 3, "usd": 0.25},
        "result": {
            "skillsGenerated": 2,
            "summary": "2 new insights",
            "materialized": False,
            "insights": ["a", "b"],
        },
    }


@pytest.mark.parametrize(
    ("fields", "status", "shown"),
    [
        ({"status": JobStatus.QUEUED}, 0, ["status   queued"]),
        (
            {"status": JobStatus.RUNNING, "step": "pass 1", "heartbeat_at": datetime(2999, 1, 1, tzinfo=UTC)},
            0,
            ["status   running", "step     pass 1"],
        ),
        (
            {"status": JobStatus.RUNNING, "step": "pass 1", "heartbeat_at": NOW},
            1,
            ["status   stopped", "go on    kaizen run --resume 20260301-1"],
        ),
        (
            {
                "status": JobStatus.FAILED,
                "error": "no \x1b[2Jkey",
                "kind": "optimize",
                "spend": Spend(rollouts=2, calls=1, usd=0.5),
            },
            1,
            [
                "spent    $0.5000, 1 call, 2 rollouts",
                "status   failed",
                r"error    no \x1b[2Jkey",
                "go on    kaizen optimize default --resume",
            ],
        ),
    ],
)
def test_a_job_that_is_not(
    fields: dict[str, Any], status: int, shown: list[str], cli: Cli, store: Store
) -> None:
    put(store, **fields)
    code, out, err = cli("status", "20260301-1")
    assert (code, err) == (status, "")
    assert [line for line in shown if line not in out.splitlines()] == []


def test_waiting_ends_with_the_job(cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.start(store, "insights", "default", {})
    waits: list[float] = []

    def wait(duration: float) -> None:
        waits.append(duration)
        if len(waits) == 3:
            jobs.fail(store, job, "no key")

    monkeypatch.setattr("pytest_kaizen.cli.desks.time.sleep", wait)
    status, out, err = cli("status", job.id, "--wait", "--interval", "0.5", "--json")
    assert (status, json.loads(out)["error"], err, waits) == (1, "no key", "", [0.5, 0.5, 0.5])


def test_materialize_changes_nothing_twice(cli: Cli, store: Store) -> None:
    put(store)
    text = "job 20260301-1: 2 insights in the skillbook\n"
    assert cli("materialize", "last") == (0, text, "")
    first = store.jobs.one("last")
    assert first.result["materialized"] is True
    assert cli("materialize", "last") == (0, text, "")
    assert store.jobs.one("last") == first


@pytest.mark.parametrize("fields", [{"status": JobStatus.FAILED}, {"kind": "optimize"}])
def test_only_a_job_that_drew_insights_is_materialized(
    fields: dict[str, Any], cli: Cli, store: Store
) -> None:
    job = put(store, **fields)
    status, out, err = cli("materialize", job.id)
    assert (status, out) == (1, "")
    assert err == f"kaizen: job {job.id} ({job.kind}) is {job.status.value}: it has no insights to write\n"


def test_an_unknown_job(cli: Cli, store: Store) -> None:
    put(store)
    for command in ("status", "materialize"):
        status, _, err = cli(command, "zz")
        assert (status, "no job 'zz'; the newest are 20260301-1" in err) == (1, True)
    assert cli("status", "last", "--interval", "0")[0] == 2
