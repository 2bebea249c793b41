"""The rows of Kaizen CT's page about pull requests, against a git host of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pytest_kaizen import CTClient
from pytest_kaizen.models import Job
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.platforms import kaizen_ct
from pytest_kaizen.scripted import ScriptedLLM
from tests.pipeline.pulls.conftest import proposal
from tests.pipeline.pulls.git_hosts import TOKEN, FakeGitHub, FakeHost, served
from tests.server.conftest import Book, MakeSite, Site
from tests.server.routes.test_kaizen_ct_jobs import NOBODY, answer, give_prompt, make_task

PATH = "prompts/triage.md"


BOTH_HOMES = pytest.mark.parametrize("home", ["sqlite", "postgresql"])


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(allow_private_hosts=True)


@pytest.fixture
def client(site: Site, book: Book) -> CTClient:
    transport = httpx.ASGITransport(app=site.app, raise_app_exceptions=False)
    return CTClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport)


@pytest.fixture
def git_host() -> Iterator[FakeHost]:
    with served(FakeGitHub({PATH: "Sort the ticket."})) as host:
        yield host


async def post(site: Site, path: str, key: str = "both") -> httpx.Response:
    async with site.client(key) as http:
        return await http.post(f"/api/v1/jobs/{path}")


def search(client: CTClient, site: Site, book: Book, **fields: str) -> kaizen_ct.Job:
    """Let a search find a better prompt of a new task; return the job at its end."""
    make_task(client, book, 50, **fields)
    give_prompt(client, book)
    job = client.trigger_optimization("triage").job
    site.work_off()
    return client.get_job(str(job.id))


@BOTH_HOMES
@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: POST /api/v1/jobs/{job_id}/retry-pr")
@pytest.mark.wire("kaizen-ct rules: PR_FAILED with the reason, and retry-pr after that only")
async def test_a_pull_request_that_fails_is_tried_again(
    client: CTClient, site: Site, book: Book, model: ScriptedLLM, git_host: FakeHost
) -> None:
    """PR_FAILED with the reason, and the draft all the same; retry-pr of that alone."""
    model.reply(answer)
    git_host.refuses = [403]
    failed = search(client, site, book, **git_host.fields, prompt_path=PATH, mode="auto_pr")
    assert (failed.status, failed.state, failed.pr_url) == ("PR_FAILED", "succeeded", None)
    assert (failed.error_message or "").endswith("HTTP 403: not now, [token]")
    assert failed.prompt_version_id is not None
    async with site.client("both") as http:
        as_kayba_has_it = (await http.get(f"/api/jobs/{failed.id}")).json()
    assert as_kayba_has_it["status"] == "completed"
    assert (await post(site, f"{failed.id}/retry-pr", "stranger")).status_code == 404

    shown = kaizen_ct.Job.model_validate((await post(site, f"{failed.id}/retry-pr")).json())
    assert (shown.status, shown.pr_url, shown.error_message) == ("SUCCESS", git_host.page(1), None)
    assert client.get_job(str(failed.id)) == shown
    again = await post(site, f"{failed.id}/retry-pr")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "the job is SUCCESS; a pull request is tried again after PR_FAILED only",
    )
    assert (await post(site, f"{failed.id}/create-pr")).status_code == 409
    [pull] = git_host.pulls
    assert git_host.file(pull["branch"], PATH).endswith("- Say how urgent it is.\n")


@pytest.mark.asyncio
@pytest.mark.wire(
    "kaizen-ct rules: a job, end to end",
    "kaizen-ct rules: the older names of the git fields",
    "kaizen-ct rules: a token is stored encrypted",
)
async def test_a_pull_request_by_the_older_names_of_the_fields(
    client: CTClient,
    site: Site,
    book: Book,
    model: ScriptedLLM,
    git_host: FakeHost,
    tmp_path: Path,
    home: str,
) -> None:
    """The token reaches the git host, and is encrypted wherever it is kept; it goes with the task."""
    model.reply(answer)
    older = {"github_repo": "acme/shop", "github_base_branch": "main", "github_token_raw": TOKEN}
    done = search(
        client, site, book, git_provider="github", git_base_url=git_host.url, prompt_path=PATH, **older
    )
    assert (done.status, done.pr_url, done.error_message) == ("SUCCESS", git_host.page(1), None)
    [task] = client.list_tasks()
    assert (task.git_repo, task.git_base_branch) == ("acme/shop", "main")
    assert TOKEN not in json.dumps(task.to_json())
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"acme/shop" in kept
    assert TOKEN.encode() not in kept
    store = book.store("ours")
    assert store.sealed.shown("task", str(task.id))
    async with site.client("both") as http:
        assert (await http.delete(f"/api/v1/tasks/{task.id}")).status_code == 204
    assert store.sealed.shown("task", str(task.id)) == {}


@BOTH_HOMES
@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: POST /api/v1/jobs/{job_id}/create-pr")
@pytest.mark.wire("kaizen-ct rules: create-pr in the mode pr_preview")
async def test_a_previewed_pull_request_is_opened_when_asked_for(
    client: CTClient, site: Site, book: Book, git_host: FakeHost
) -> None:
    """Mode pr_preview: title and text are in the job's metadata; one pull request, however often."""
    client.create_task("greet", **git_host.fields, mode="pr_preview")
    store = book.store("ours")
    store.save_proposal(proposal())
    job: Job = jobs.start(store, "optimize", "greet", {})
    job.result = {"proposal": proposal().id, "pr_preview": {"title": "t", "body": "b"}}
    jobs.finish(store, job)
    before = client.get_job(job.id)
    assert (before.status, before.pr_url) == ("SUCCESS", None)
    assert (before.job_metadata or {})["pr_preview"] == {"title": "t", "body": "b"}
    lacking = await post(site, f"{job.id}/create-pr")
    assert (lacking.status_code, lacking.json()["detail"]) == (
        400,
        "the task 'greet' says nothing of its prompt_path",
    )
    task = store.tasks.find("greet")
    assert task is not None
    store.tasks.update(task.model_copy(update={"prompt_path": PATH}))
    for _ in range(2):
        made = await post(site, f"{job.id}/create-pr")
        assert (made.status_code, made.json()["pr_url"]) == (200, git_host.page(1))
    assert len(git_host.pulls) == 1
    assert (await post(site, f"{NOBODY}/create-pr")).status_code == 404
    with jobs.held(store, jobs.look_up(store, job.id)) as held:
        store.jobs.amend(held.model_copy(update={"result": {**held.result, "pull_request": {"url": None}}}))
        busy = await post(site, f"{job.id}/create-pr")
    assert (busy.status_code, "is being amended by" in busy.json()["detail"]) == (409, True)


@pytest.mark.asyncio
async def test_a_token_as_files_hold_it(client: CTClient, site: Site, book: Book) -> None:
    """With the end of a line; what can be no token is refused, and there is no task then."""
    task = client.create_task("greet", git_token_raw=f"{TOKEN}\n")
    opened = book.store("ours").sealed.open("task", str(task.id), "git token")
    assert opened is not None
    assert opened.get_secret_value() == TOKEN
    async with site.client("both") as http:
        for path, body in (("tasks", {"name": "t"}), ("feedback", {"task_name": "t", "inputs": {"q": "x"}})):
            refused = await http.post(f"/api/v1/{path}", json={**body, "git_token_raw": f"two {TOKEN}"})
            assert (refused.status_code, refused.json()["detail"]) == (
                422,
                "body.git_token_raw: has blanks or characters outside ASCII, which no token has",
            )
            for url in ("https://me:secret@git.example", "https://git.example?token=secret"):
                refused = await http.post(f"/api/v1/{path}", json={**body, "git_base_url": url})
                assert (refused.status_code, "secret" in refused.text) == (422, False)
    assert [known.name for known in client.list_tasks()] == ["greet"]
