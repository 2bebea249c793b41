"""The rows of Kaizen CT's page about optimisations, asked by its own client, on both homes of a store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import httpx
import pytest

from pytest_kaizen import CTClient
from pytest_kaizen.errors import CTError, CTNotFoundError, StoreError
from pytest_kaizen.models import Acceptance, Decision, FeedbackEntry, PromptVersion, Proposal, Spend, Task
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.platforms.kaizen_ct import Job
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.server.routes.kaizen_ct.tasks import add_first_version
from pytest_kaizen.server.worker import Assignment, optimize
from tests.server.conftest import Book, Site

NOBODY = "11111111-1111-4111-8111-111111111111"
CRITERIA = [{"name": "urgent", "description": "It says how urgent the ticket is."}]
LESSON = {
    "justification": "it is not said",
    "evidence": [1],
    "criterion": "judge.urgent",
    "section": "general",
    "when": "",
    "rule": "Say how urgent it is.",
    "replaces": "",
    "confidence": "high",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def transport(site: Site) -> httpx.AsyncBaseTransport:
    return httpx.ASGITransport(app=site.app, raise_app_exceptions=False)


@pytest.fixture
def client(transport: httpx.AsyncBaseTransport, book: Book) -> CTClient:
    return CTClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport)


def answer(request: Request) -> str:
    """Play all three models: the one that answers, the judge and the one that reflects."""
    wanted = (request.schema or {}).get("properties", {})
    if "lessons" in wanted:
        return json.dumps({"lessons": [LESSON]})
    if "relations" in wanted:
        return json.dumps({"relations": []})
    if wanted:
        urgent = "urgent: " in request.last_user_text
        return json.dumps({"urgent": {"reason": f"it is {urgent}", "score": "yes" if urgent else "no"}})
    return f"{'urgent: ' * ('Say how urgent' in request.system)}{request.last_user_text}"


def make_task(client: CTClient, book: Book, entries: int, **fields: Any) -> str:
    """Make a task with a prompt and feedback; return its id."""
    task = client.create_task(
        "triage", evaluator_config={"type": "judge", "criteria": CRITERIA}, feedback_threshold=60, **fields
    )
    store = book.store("ours")
    known = store.tasks.find("triage")
    assert known is not None
    for number in range(entries):
        inputs = {"ticket": str(number)}
        store.feedback.add(
            known, FeedbackEntry(task_id=known.id, inputs=inputs, created_at=datetime.now(UTC))
        )
    return str(task.id)


def give_prompt(client: CTClient, book: Book, name: str = "triage") -> None:
    """Make the first version of the prompt, as an operator's other client does."""
    store = book.store("ours")
    task = store.tasks.find(name)
    assert task is not None
    add_first_version(store, task, "Sort the ticket.", datetime.now(UTC))


def status_of(client: CTClient, task: str) -> int | None:
    with pytest.raises(CTError) as caught:
        client.trigger_optimization(task)
    return caught.value.status_code


async def ask(site: Site, path: str, key: str = "both") -> httpx.Response:
    async with site.client(key) as http:
        return await http.get(path)


@pytest.mark.wire("kaizen-ct: POST /api/v1/optimize/{task_id}", "kaizen-ct: GET /api/v1/jobs/{job_id}")
@pytest.mark.wire(
    "kaizen-ct rules: 409 while a job is active",
    "kaizen-ct rules: a job ends with a draft and its evaluation score",
    "kaizen-ct rules: SUCCESS with pr_url null without git fields",
)
def test_optimize_get_job_and_activate_what_it_found(
    client: CTClient, site: Site, book: Book, model: ScriptedLLM
) -> None:
    """POST /optimize/{task_id}, GET /jobs/{job_id}, and the draft version that comes of it."""
    model.reply(answer)
    task = make_task(client, book, 50)
    give_prompt(client, book)
    started = client.trigger_optimization("triage")
    assert (started.job.status, started.job.triggered_by) == ("PENDING", "api_on_demand")
    assert str(started.job.task_id) == task
    cost = started.cost_estimate
    assert (cost.train_size, cost.val_size) == (20, 9)
    assert cost.estimated_llm_calls > cost.max_trials > 50
    assert cost.estimated_cost_usd > 0
    assert client.get_job(str(started.job.id)) == started.job
    with pytest.raises(CTError, match="an optimisation of 'triage' is active already") as caught:
        client.trigger_optimization(task)
    assert caught.value.status_code == 409
    assert model.requests == []

    site.work_off()
    done = client.get_job(str(started.job.id))
    assert (done.status, done.error_message, done.pr_url) == ("SUCCESS", None, None)
    assert done.job_metadata is not None
    assert done.job_metadata["decision"] == "accepted"
    assert "+- Say how urgent it is." in done.job_metadata["diff"]
    assert done.job_metadata["spend"]["usd"] > 0
    assert None not in (done.started_at, done.completed_at)
    assert client.get_prompt(task).prompt_text == "Sort the ticket."
    draft = client.activate_prompt(task, str(done.prompt_version_id))
    assert (draft.version_number, draft.status, draft.eval_score) == (2, "active", 1.0)
    assert (draft.prompt_text or "").endswith("- Say how urgent it is.")
    [shown] = client.list_tasks()
    assert shown.threshold_progress == "0/60"
    assert shown.last_optimization is not None


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: GET /api/v1/jobs")
async def test_list_jobs(site: Site, book: Book, transport: httpx.AsyncBaseTransport) -> None:
    """GET /jobs?task_id=: a bare array, the newest first."""
    store = book.store("ours")
    for name in ("a", "b"):
        store.tasks.add(Task(name=name, created_at=datetime.now(UTC)))
        jobs.create(store, "optimize", name, {}, "threshold")
    jobs.create(store, "insights", "a", {})
    every = [Job.model_validate(item) for item in (await ask(site, "/api/v1/jobs")).json()]
    assert [job.triggered_by for job in every] == ["auto_threshold"] * 2
    of_a = (await ask(site, "/api/v1/jobs?task_id=a")).json()
    assert [item["id"] for item in of_a] == [str(every[1].id)]
    assert [item["id"] for item in (await ask(site, "/api/v1/jobs?limit=1")).json()] == [str(every[0].id)]
    assert (await ask(site, f"/api/v1/jobs?task_id={NOBODY}")).status_code == 404
    assert (await ask(site, f"/api/v1/jobs/{every[0].id.hex.upper()}")).json()["id"] == str(every[0].id)
    assert (await ask(site, f"/api/v1/jobs/{every[0].id}", "stranger")).status_code == 404
    assert (await ask(site, "/api/v1/jobs", "stranger")).json() == []
    insights = store.jobs.newest("a", kind="insights")[0]
    assert (await ask(site, f"/api/v1/jobs/{insights.id}")).status_code == 404


@pytest.mark.wire("kaizen-ct rules: 400 with no feedback")
def test_what_cannot_be_optimised(client: CTClient, book: Book) -> None:
    """POST /optimize: 404 without a task, 400 with no feedback or no prompt; nothing is stored."""
    assert status_of(client, NOBODY) == 404
    task = make_task(client, book, 0)
    with pytest.raises(CTError, match="'triage' has no feedback to search with") as caught:
        client.trigger_optimization(task)
    assert caught.value.status_code == 400
    client.log_feedback(task, {"ticket": "1"})
    with pytest.raises(CTError, match="no version of the prompt of 'triage' is active") as caught:
        client.trigger_optimization(task)
    assert caught.value.status_code == 400
    give_prompt(client, book)
    store = book.store("ours")
    assert store.jobs.newest() == []
    with pytest.raises(CTNotFoundError):
        client.get_job(NOBODY)


@pytest.mark.wire("kaizen-ct rules: a budget that the estimate exceeds is a warning")
def test_a_budget_that_the_estimate_exceeds_is_a_warning(client: CTClient, book: Book) -> None:
    make_task(client, book, 50, cost_budget=0.001)
    give_prompt(client, book)
    started = client.trigger_optimization("triage")
    assert started.budget_warning is not None
    assert started.budget_warning.endswith("the search stops at the budget of $0.00")
    assert started.job.status == "PENDING"


@pytest.mark.wire("kaizen-ct rules: a job that fails says why")
def test_without_a_key_for_the_model_the_job_fails_with_that_reason(
    client: CTClient, site: Site, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    make_task(client, book, 50)
    give_prompt(client, book)
    job = client.trigger_optimization("triage").job
    site.work_off()
    failed = client.get_job(str(job.id))
    assert failed.status == "FAILURE"
    assert "ANTHROPIC_API_KEY" in (failed.error_message or "")
    assert failed.prompt_version_id is None


@pytest.mark.wire("kaizen-ct rules: the threshold starts one optimisation")
def test_enough_feedback_starts_one_optimisation(
    client: CTClient, site: Site, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold: one job however much comes, and none at once after one that failed."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    store = book.store("ours")
    task = make_task(client, book, 59)
    client.log_feedback(task, {"ticket": "x"})
    assert store.jobs.newest() == []  # No prompt is active: there is nothing to improve.
    give_prompt(client, book)
    for number in range(2):
        client.log_feedback(task, {"ticket": f"y{number}"})
    [job] = store.jobs.newest()
    assert (job.triggered_by, job.settings["source"]) == ("threshold", "feedback")
    site.work_off()
    client.log_feedback(task, {"ticket": "z"})
    [job] = store.jobs.newest()
    assert job.status == "failed"


@pytest.mark.wire("kaizen-ct rules: a failure to start an optimisation never fails the feedback")
def test_what_fails_in_starting_a_search_never_fails_the_feedback(
    client: CTClient, book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_task(client, book, 59)
    give_prompt(client, book)

    def fails(*_given: object) -> NoReturn:
        raise StoreError("no room for a job")

    monkeypatch.setattr("pytest_kaizen.server.routes.kaizen_ct.jobs.due_job", fails)
    assert client.log_feedback("triage", {"ticket": "x"}).inputs == {"ticket": "x"}
    assert "no search for a better prompt of 'triage': no room for a job" in caplog.text
    monkeypatch.undo()
    client.log_feedback("triage", {"ticket": "y"})
    assert [job.triggered_by for job in book.store("ours").jobs.newest()] == ["threshold"]


@pytest.mark.wire("kaizen-ct rules: scored traces are feedback where feedback_source says so")
def test_scores_of_traces_count_where_they_are_the_feedback(client: CTClient, book: Book) -> None:
    task = client.create_task("triage", feedback_threshold=2, feedback_source="traces")
    give_prompt(client, book)
    for number in range(2):
        trace = client.log_trace(str(task.id), f"ticket {number}", "sorted")
        client.score(str(trace.id), 0.5)
    [job] = book.store("ours").jobs.newest()
    assert job.triggered_by == "threshold"


@pytest.mark.wire("shared: one job, in the words of each platform")
@pytest.mark.wire("kaizen-ct rules: the status of a running job by its step")
def test_a_job_says_what_it_does(client: CTClient, book: Book) -> None:
    """The statuses of the table by step, and a job that was stopped."""
    make_task(client, book, 0)
    store = book.store("ours")
    job = jobs.start(store, "optimize", "triage", {})
    seen = {}
    for step in ("", "round 1: 2 rules", "validating", "comparing on held-out cases"):
        jobs.progress(store, job, step, Spend())
        shown = client.get_job(job.id)
        seen[shown.progress_step] = shown.status
    assert seen == {
        None: "RUNNING",
        "round 1: 2 rules": "COMPILING",
        "validating": "EVALUATING",
        "comparing on held-out cases": "EVALUATING",
    }
    jobs.stop(store, job.id)
    stopped = client.get_job(job.id)
    assert isinstance(stopped.id, UUID)
    assert (stopped.status, stopped.error_message) == ("FAILURE", "the job was stopped")


def test_a_search_that_was_broken_off_is_gone_on_with(
    client: CTClient, site: Site, book: Book, model: ScriptedLLM
) -> None:
    """Broken off after each of its steps in turn: it ends all the same, and asks nothing twice."""
    model.reply(answer)
    make_task(client, book, 50)
    give_prompt(client, book)
    job_id = str(client.trigger_optimization("triage").job.id)
    store = book.store("ours")
    [job] = store.jobs.newest()
    for _ in range(3):
        steps = iter(range(2))

        def pause(steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise jobs.HandedBack

        with pytest.raises(jobs.HandedBack):
            optimize(Assignment(site.state.config, store, job, None, pause))
        [job] = store.jobs.newest()
        assert job.status == "queued"
    # Another version is active meanwhile: the search goes on from the one that it was begun with.
    store.save_prompts([PromptVersion(task="triage", version=2, sha256="0" * 64, text="Another.")])
    store.activations.activate("triage", 2)
    site.work_off()
    done = client.get_job(job_id)
    assert (done.status, done.error_message) == ("SUCCESS", None)
    asked = Counter(json.dumps(request.body, sort_keys=True) for request in model.requests)
    assert max(asked.values()) == 1
    draft = store.prompts("triage")[-1]
    assert (draft.version, draft.parent, draft.source) == (3, 1, "optimizer")
    assert draft.text.startswith("Sort the ticket.")


def test_a_second_search_for_the_same_prompt(
    client: CTClient, site: Site, book: Book, model: ScriptedLLM
) -> None:
    """What the first one found is a draft that nobody activated: the second finds the same, at no cost."""
    model.reply(answer)
    make_task(client, book, 50)
    give_prompt(client, book)
    earlier = Proposal(
        id="earlier",
        task="triage",
        parent_sha256=sha256_of("Sort the ticket."),
        sha256="0" * 64,
        text="Sort it.",
        diff=[],
        engine="insights",
        acceptance=Acceptance(
            decision=Decision.UNDERPOWERED,
            min_gain=0,
            confidence=0.95,
            look=1,
            level=0.05,
            sentence="perhaps",
        ),
        spend=Spend(),
    )
    book.store("ours").save_proposal(earlier)
    found = []
    for _ in range(2):
        job = client.trigger_optimization("triage").job
        site.work_off()
        done = client.get_job(str(job.id))
        assert done.status == "SUCCESS"
        found.append((done.prompt_version_id, len(model.requests)))
    assert found[0] == found[1]
    assert [version.version for version in book.store("ours").prompts("triage")] == [1, 2]
