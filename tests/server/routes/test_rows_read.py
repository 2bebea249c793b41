"""What is shown of jobs and tasks is read from the rows that it needs, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_kaizen.models import Job, JobStatus, PromptVersion, Task
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.store import Store
from pytest_kaizen.store import jobs as stored_jobs
from pytest_kaizen.store import prompts as stored_prompts
from pytest_kaizen.store.table import Table
from tests.server.conftest import Book, Site

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MANY = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def store(book: Book) -> Store:
    """Has a task with many jobs and versions, the newest of which lasted longest."""
    store = book.store("ours")
    store.tasks.add(Task(name="a", created_at=NOW))
    store.save_prompts(
        PromptVersion(task="a", version=n, sha256=f"{n}", text="x", eval_score=n / MANY, source="platform")
        for n in range(1, MANY + 1)
    )
    store.activations.activate("a", 7)
    for number in range(MANY):
        ended = NOW + timedelta(minutes=number)
        for kind in (jobs.OPTIMIZE, jobs.INSIGHTS):
            job = Job(
                id=f"{kind}-{number:02}",
                kind=kind,
                task="a",
                created_at=NOW,
                status=JobStatus.COMPLETED,
                finished_at=ended,
                result={"version": 9},
            )
            store.jobs.add(job, silent_since=NOW)
    return store


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch, store: Store) -> Callable[[], dict[str, int]]:
    """Tells how many rows of jobs and prompts were read since it was last asked."""
    assert store
    counts = {"jobs": 0, "prompts": 0}

    def watch(table: Table[Any]) -> None:
        read = table.read

        def counted(row: Any, **more: Any) -> Any:
            counts[table.name] += 1
            return read(row, **more)

        monkeypatch.setattr(table, "read", counted)

    def told() -> dict[str, int]:
        found = dict(counts)
        counts.update(dict.fromkeys(counts, 0))
        return found

    watch(stored_jobs._JOBS)
    watch(stored_prompts._PROMPTS)
    return told


@pytest.mark.asyncio
async def test_no_more_rows_are_read_than_are_shown(
    site: Site, store: Store, rows_read: Callable[[], dict[str, int]]
) -> None:
    oldest = store.jobs.one("optimize-00")
    rows_read()
    async with site.client("both") as http:
        shown = (await http.get(f"/api/v1/jobs/{oldest.uuid}")).json()
        assert (shown["id"], rows_read()) == (str(oldest.uuid), {"jobs": 1, "prompts": 1})
        assert (await http.get(f"/api/v1/jobs/{oldest.id}")).json() == shown
        assert rows_read() == {"jobs": 1, "prompts": 1}
        assert (await http.get("/api/v1/jobs/none")).status_code == 404
        assert rows_read() == {"jobs": 0, "prompts": 0}

        listed = (await http.get("/api/v1/jobs", params={"task_id": "a", "limit": 2})).json()
        newest = [store.jobs.one(f"optimize-{number}").uuid for number in (29, 28)]
        assert [job["id"] for job in listed] == [str(uuid) for uuid in newest]
        assert rows_read() == {"jobs": 4, "prompts": 2}  # Two of the jobs for this test's own question.

        task = (await http.get("/api/v1/tasks/a")).json()
        assert task["last_optimization"] == "2026-03-01T00:29:00Z"
        assert task["active_prompt_score"] == pytest.approx(7 / MANY)
        assert rows_read() == {"jobs": 1, "prompts": 1}
        assert len((await http.get("/api/v1/tasks")).json()) == 1
        assert rows_read() == {"jobs": 1, "prompts": 1}

        theirs = (await http.get("/api/jobs", params={"limit": 3})).json()
        assert rows_read() == {"jobs": 3, "prompts": 0}
        assert len(theirs) == 3
