"""What holds for the pages of all platforms together."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pytest_kaizen.models import Job, JobStatus
from pytest_kaizen.server.operation import Operation
from pytest_kaizen.server.routes import OPERATIONS
from tests.server.conftest import Book, Site
from tests.server.test_admission import path_of


@pytest.mark.wire("shared: a slash at the end")
@pytest.mark.asyncio
async def test_a_slash_at_the_end_changes_nothing(site: Site) -> None:
    async with site.client("all") as client:
        for operation in OPERATIONS:
            answers = [
                await client.request(
                    operation.method, path_of(operation) + end, headers=key_of(site, operation)
                )
                for end in ("", "/")
            ]
            assert answers[0].status_code == answers[1].status_code, operation.name
            assert not answers[1].is_redirect, operation.name
    await site.state.close()


def key_of(site: Site, operation: Operation) -> dict[str, str]:
    return {operation.key.value[0]: site.book.keys["all"]}


@pytest.mark.wire("shared: one path answers two platforms")
@pytest.mark.asyncio
async def test_one_path_answers_two_platforms(site: Site, book: Book) -> None:
    bearer = {"Authorization": f"Bearer {book.keys['both']}"}
    async with site.client() as client:
        task = (await client.post("/api/v1/tasks", json={"name": "t"}, headers=bearer)).json()["id"]
        for given, query, kind in (
            (bearer, "", dict),
            ({"X-API-Key": book.keys["both"]}, "", list),
            (bearer, f"?task_id={task}", list),
        ):
            answer = await client.get(f"/api/v1/traces{query}", headers=given)
            assert (answer.status_code, type(answer.json())) == (200, kind)


@pytest.mark.wire("shared: one job, in the words of each platform")
@pytest.mark.parametrize(
    ("status", "kayba", "kaizen_ct"),
    [
        (JobStatus.QUEUED, "queued", "PENDING"),
        (JobStatus.RUNNING, "running", "RUNNING"),
        (JobStatus.COMPLETED, "completed", "SUCCESS"),
        (JobStatus.FAILED, "failed", "FAILURE"),
        (JobStatus.STOPPED, "failed", "FAILURE"),
    ],
)
@pytest.mark.asyncio
async def test_one_job_in_the_words_of_each(
    site: Site, book: Book, status: JobStatus, kayba: str, kaizen_ct: str
) -> None:
    store = book.store("ours")
    now = datetime.now(UTC)
    job = Job(id=str(uuid4()), kind="optimize", task="t", status=status, created_at=now)
    store.jobs.add(job, silent_since=now)
    async with site.client("reads") as client:
        assert (await client.get(f"/api/jobs/{job.id}")).json()["status"] == kayba
        assert (await client.get(f"/api/v1/jobs/{job.id}")).json()["status"] == kaizen_ct
