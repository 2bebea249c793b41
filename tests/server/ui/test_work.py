"""What people do on the pages: activate prompts, decide about insights, stop jobs, make keys."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
import uvicorn

from pytest_kaizen.models import Insight, InsightStatus, Job, JobStatus, PromptVersion, Spend
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server.app import _Server
from pytest_kaizen.server.streams import Streams
from pytest_kaizen.server.ui import jobs as ui_jobs
from pytest_kaizen.store import Store
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio


@pytest.fixture
def store(site: Site) -> Store:
    return site.book.store("ours")


def add_prompts(store: Store) -> None:
    for number, text in ((1, "Be brief.\nBe kind."), (2, "Be brief.\nBe exact.")):
        version = PromptVersion(
            task="sum",
            version=number,
            sha256=str(number),
            text=text,
            parent=number - 1 or None,
            eval_score=0.5,
        )
        store.save_prompts([version])
    store.activations.activate("sum", 1)


def add_insights(store: Store, *ids: str, **fields: object) -> None:
    for given in ids:
        insight = {"id": given, "task": "sum", "rule": f"rule {given}", **fields}
        store.save_insights([Insight.model_validate(insight)])


def status_of(store: Store) -> dict[str, str]:
    return {insight.id: insight.status.value for insight in store.insights()}


async def test_a_version_with_what_changed(browser: Browser, store: Store) -> None:
    add_prompts(store)
    await browser.sign_in("reads")
    page = await browser.page("/ui/prompts/sum/2")
    assert "What changed since version 1" in page.text
    assert "-Be kind. +Be exact." in page.text
    assert "-Be exact. +Be kind." in (await browser.page("/ui/prompts/sum/1?against=2")).text
    await browser.page("/ui/prompts/sum/1?against=7", 404)
    await browser.page("/ui/prompts/sum/x", 404)
    # Who may not write sees no button.
    assert "Activate" not in page.text


async def test_a_version_is_activated(browser: Browser, store: Store) -> None:
    add_prompts(store)
    await browser.sign_in("both")
    token = (await browser.page("/ui/prompts/sum")).token
    answer = await browser.send("/ui/prompts/sum/2/activate", token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/prompts/sum")
    assert store.activations.active("sum") == 2
    page = await browser.page("/ui/prompts/sum")
    assert "version 2 ✓ active 0.50" in page.text
    assert "version 1 archived 0.50" in page.text
    assert (await browser.send("/ui/prompts/sum/9/activate", token)).status_code == 404


async def test_no_form_changes_anything_without_its_token(browser: Browser, store: Store) -> None:
    add_prompts(store)
    add_insights(store, "one")
    await browser.sign_in("all")
    for path, fields in (
        ("/ui/prompts/sum/2/activate", {}),
        ("/ui/insights/one", {"decision": "accept"}),
        ("/ui/keys", {"label": "x", "scopes": "read"}),
    ):
        assert (await browser.send(path, "", **fields)).status_code == 403
    assert store.activations.active("sum") == 1
    assert status_of(store) == {"one": "pending"}
    assert len(browser.site.book.workspaces.central.keys.list()) == 8


async def test_insights_are_decided_one_after_the_other(browser: Browser, store: Store) -> None:
    add_insights(store, "a", "b", "c")
    await browser.sign_in("both")
    page = await browser.page("/ui/insights")
    assert [article["id"] for article in page.all("article")] == ["i-c", "i-b", "i-a"]
    assert [field["value"] for field in page.all("input") if field.get("name") == "next"] == ["b", "a", "b"]
    answer = await browser.send(
        "/ui/insights/c", page.token, decision="accept", status="pending", next="b", note="good"
    )
    assert answer.headers["location"] == "/ui/insights?status=pending&done=c#i-b"
    page = await browser.page("/ui/insights?status=pending&done=c")
    assert "accepted: rule c" in page.text
    await browser.send("/ui/insights/b", page.token, decision="reject", status="pending", task="sum")
    answer = await browser.send("/ui/insights/a", page.token, decision="note", note="think about it")
    assert answer.headers["location"] == "/ui/insights?status=pending&done=a#i-a"
    assert status_of(store) == {"a": "pending", "b": "rejected", "c": "accepted"}
    assert {insight.id: insight.note for insight in store.insights()} == {
        "a": "think about it",
        "b": None,
        "c": "good",
    }
    page = await browser.page("/ui/insights?status=accepted")
    assert [article["id"] for article in page.all("article")] == ["i-c"]
    assert "pending (1) accepted (1) rejected (1)" in page.text


NO_DECISIONS: list[tuple[str, dict[str, str], int]] = [
    ("none", {"decision": "accept"}, 404),
    ("a", {"decision": "burn"}, 422),
    ("a", {}, 422),
]


async def test_a_decision_that_is_none(browser: Browser, store: Store) -> None:
    add_insights(store, "abc")
    await browser.sign_in("both")
    token = (await browser.page("/ui/insights")).token
    for insight_id, fields, status in NO_DECISIONS:
        # Also the beginning of an id is not taken for it.
        assert (await browser.send(f"/ui/insights/{insight_id}", token, **fields)).status_code == status
        assert status_of(store) == {"abc": "pending"}


async def test_accepted_insights_become_a_prompt(browser: Browser, store: Store) -> None:
    add_insights(store, "a", status=InsightStatus.ACCEPTED)
    await browser.sign_in("both")
    token = (await browser.page("/ui/insights?status=accepted")).token
    answer = await browser.send("/ui/prompts/sum/from-insights", token)
    assert answer.headers["location"] == "/ui/prompts/sum/1"
    assert "rule a" in (await browser.page("/ui/prompts/sum/1")).text
    answer = await browser.send("/ui/prompts/other/from-insights", token)
    assert answer.status_code == 422
    assert "no accepted insights of 'other'" in Html(answer.text).text


async def test_a_job_is_stopped(browser: Browser, store: Store) -> None:
    job = jobs.create(store, "insights", "sum", {})
    await browser.sign_in("both")
    page = await browser.page(f"/ui/jobs/{job.id}")
    answer = await browser.send(f"/ui/jobs/{job.id}/stop", page.token)
    assert answer.headers["location"] == f"/ui/jobs/{job.id}"
    assert store.jobs.one(job.id).status is JobStatus.STOPPED
    page = await browser.page(f"/ui/jobs/{job.id}")
    assert "Stop" not in page.texts
    # The beginning of an id is none.
    assert (await browser.send("/ui/jobs/2/stop", page.token)).status_code == 404


def watched_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Awaitable[None]]:
    """Return what waits until the line that tells of jobs has looked so many times more."""
    done = 0
    recent = jobs.recent

    def counted(store: Store, limit: int) -> list[Job]:
        nonlocal done
        found = recent(store, limit)
        done += 1
        return found

    async def looks(more: int) -> None:
        goal = done + more
        while done < goal:  # noqa: ASYNC110 - a thread counts
            await asyncio.sleep(0.005)

    monkeypatch.setattr(jobs, "recent", counted)
    return looks


async def test_a_page_is_told_what_becomes_of_jobs(
    browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui_jobs, "_LOOK_S", 0.01)
    job = jobs.start(store, "insights", "sum", {})
    await browser.sign_in("reads")
    looks = watched_looks(monkeypatch)

    async def work() -> None:
        await looks(3)
        jobs.progress(store, job, "chunk 1 of 2\x1b", Spend(calls=3, usd=0.25))
        await looks(3)
        jobs.finish(store, job)
        await looks(3)
        browser.site.state.stopping.set()

    working = asyncio.create_task(work())
    answer = await browser.get("/ui/jobs/events")
    await working
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    told = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    # Each change once, and nothing while nothing changes.
    assert [json.loads(line)["fields"]["status"] for line in told] == ["running", "running", "completed"]
    assert json.loads(told[1])["fields"]["step"] == "chunk 1 of 2\\x1b"
    assert json.loads(told[1])["fields"]["spent"] == "$0.2500, 3 calls"
    assert [json.loads(line)["final"] for line in told] == [False, False, True]


async def test_events_end_with_the_session(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_jobs, "_LOOK_S", 0.01)
    looks = watched_looks(monkeypatch)
    await browser.sign_in("reads")
    asked = asyncio.create_task(browser.get("/ui/jobs/events"))
    await looks(3)
    assert not asked.done()
    keys = browser.site.book.workspaces.central.keys
    (key,) = (known for known in keys.list() if known.label == "reads")
    keys.revoke(key.id)
    browser.site.state.grants.forget()
    assert (await asked).status_code == 200


async def test_pages_share_one_look(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_jobs, "_LOOK_S", 0.01)
    done = 0
    recent = jobs.recent

    def counted(store: Store, limit: int) -> list[Job]:
        nonlocal done
        done += 1
        if done == 20:
            browser.site.state.stopping.set()
        return recent(store, limit)

    monkeypatch.setattr(jobs, "recent", counted)
    await browser.sign_in("reads")
    await asyncio.gather(*(browser.get("/ui/jobs/events") for _ in range(8)))
    # One by one they would have looked again before they saw that the server stops.
    assert done == 20


async def test_one_stream_too_many(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.site.state, "streams", Streams(most=1))
    looks = watched_looks(monkeypatch)
    await browser.sign_in("reads")
    asked = asyncio.create_task(browser.get("/ui/jobs/events"))
    await looks(1)
    refused = await browser.get("/ui/jobs/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "15")
    assert "this key has 1 streams open" in Html(refused.text).text
    other = Browser(browser.site)
    await other.sign_in("both")
    browser.site.state.stopping.set()
    assert (await asked).status_code == 200
    # There is a place again, and another key has its own.
    assert (await browser.get("/ui/jobs/events")).status_code == 200
    assert (await other.get("/ui/jobs/events")).status_code == 200


async def test_the_server_says_that_it_was_told_to_stop(browser: Browser) -> None:
    stopping = browser.site.state.stopping
    server = _Server(uvicorn.Config(browser.site.app), stopping)
    assert not stopping.is_set()
    server.handle_exit(signal.SIGTERM, None)
    assert stopping.is_set()
    assert server.should_exit


async def test_a_key_is_made_shown_once_and_revoked(browser: Browser) -> None:
    await browser.sign_in("rules")
    page = await browser.page("/ui/keys")
    assert "stranger" not in page.text
    answer = await browser.send("/ui/keys", page.token, label="laptop", scopes="read", days="2")
    made = Html(answer.text)
    secret = next(text for text in made.texts if text.startswith("kz_") and "…" not in text)
    again = await browser.get("/ui/keys")
    assert secret not in again.text
    (key,) = (known for known in browser.site.book.workspaces.central.keys.list() if known.label == "laptop")
    assert key.scopes == ("read",)
    assert key.expires_at is not None
    assert 1 < (key.expires_at - datetime.now(UTC)).total_seconds() / 86_400 <= 2

    other = Browser(browser.site)
    assert (await other.sign_in(secret)).status_code == 303
    await other.page("/ui/runs")
    answer = await browser.send(f"/ui/keys/{key.id}/revoke", page.token)
    assert answer.headers["location"] == "/ui/keys"
    assert (await other.get("/ui/runs")).status_code == 303


NO_KEYS: list[tuple[dict[str, str], str]] = [
    ({"label": "x"}, "form.scopes: a key needs one at least"),
    ({"scopes": "read"}, "form.label: Field required"),
    ({"label": "x", "scopes": "all"}, "form.scopes.0: Input should be 'read', 'write' or 'admin'"),
    ({"label": "x", "scopes": "read", "days": "nan"}, "form.days: Input should be"),
    ({"label": "x", "scopes": "read", "days": "0"}, "form.days: Input should be greater than 0"),
]


async def test_a_key_that_cannot_be(browser: Browser) -> None:
    await browser.sign_in("rules")
    for fields, told in NO_KEYS:
        answer = await browser.send("/ui/keys", (await browser.page("/ui/keys")).token, **fields)
        assert answer.status_code == 422, fields
        assert told in Html(answer.text).text


async def test_a_key_of_another_workspace_is_not_there(browser: Browser) -> None:
    await browser.sign_in("rules")
    keys = browser.site.book.workspaces.central.keys
    (key,) = (known for known in keys.list() if known.label == "stranger")
    answer = await browser.send(f"/ui/keys/{key.id}/revoke", (await browser.page("/ui/keys")).token)
    assert answer.status_code == 404
    found = keys.find(browser.site.book.keys["stranger"])
    assert found is not None
    assert found.revoked_at is None
