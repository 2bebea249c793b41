"""The rows of Kayba's page about insights, jobs and prompts, asked by its own client, on both homes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen import KaybaClient
from pytest_kaizen.errors import JobError, KaybaAPIError
from pytest_kaizen.models import Insight, InsightStatus, JobStatus, Spend
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import sealed
from tests.server.conftest import Book, Site
from tests.server.routes.conftest import Clients

NOBODY = "11111111-1111-4111-8111-111111111111"
OWN_KEY = "sk-ant-own-" + "k" * 40
Connect = Callable[[str], KaybaClient]


@pytest.fixture
def connect(clients: Clients) -> Connect:
    """Make clients by the name of a key."""
    return lambda name: clients.make(KaybaClient, name, "/api")


@pytest.fixture
def client(connect: Connect) -> KaybaClient:
    return connect("both")


def lesson(rule: str, section: str) -> dict[str, Any]:
    texts = dict.fromkeys(("justification", "criterion", "when", "replaces"), "")
    return {**texts, "section": section, "evidence": [1], "confidence": "high", "rule": rule}


def answer(request: Request) -> str:
    if "relations" in (request.schema or {}).get("properties", {}):
        return json.dumps({"relations": []})
    return json.dumps({"lessons": [lesson("Name a date.", "dates"), lesson("Be brief.", "style")]})


def upload(client: KaybaClient, *names: str) -> list[str]:
    files = [{"filename": name, "content": f"# {name}", "fileType": "md"} for name in names]
    return [meta["id"] for meta in client.upload_traces(files)["traces"]]


def refusal(ask: Callable[[], object]) -> tuple[str, int | None]:
    with pytest.raises(KaybaAPIError) as caught:
        ask()
    return caught.value.message, caught.value.status_code


@pytest.mark.wire(
    "kayba: POST /api/insights/generate",
    "kayba: GET /api/insights",
    "kayba: PATCH /api/insights/{insight_id}",
    "kayba: GET /api/jobs/{job_id}",
    "kayba: POST /api/jobs/{job_id}",
    "kayba: POST /api/prompts/generate",
    "kayba: GET /api/prompts",
    "kayba: GET /api/prompts/{prompt_id}",
)
def test_from_traces_to_a_prompt(client: KaybaClient, site: Site, model: ScriptedLLM) -> None:
    """POST /insights/generate, GET and POST /jobs/:id, GET and PATCH /insights, and all of /prompts."""
    model.reply(answer)
    first, _ = upload(client, "one.md", "two.md")
    job_id = client.generate_insights([first], model="claude-haiku-4-5", epochs=1, reflector_mode="standard")[
        "jobId"
    ]
    queued = client.get_job(job_id)
    assert {**queued, "createdAt": ""} == {
        "jobId": job_id,
        "status": "queued",
        "createdAt": "",
        "kind": "insights",
        "task": "default",
        "step": "",
        "spend": {"rollouts": 0, "calls": 0, "usd": 0.0},
    }
    assert client.list_jobs() == client.list_jobs("default", "insights", 1) == [queued]
    assert client.list_jobs("default", "optimize") == client.list_jobs("other") == []
    assert refusal(client.generate_insights) == (
        "insights of 'default' are being drawn already; wait for that job",
        409,
    )
    assert refusal(lambda: client.materialize_job(job_id))[1] == 409
    site.work_off()
    done = client.get_job(job_id)
    assert (done["status"], done["result"]["skillsGenerated"]) == ("completed", 2)
    assert done["result"]["materialized"] is False
    assert done["completedAt"].endswith("Z")
    assert "# one.md" in model.requests[0].last_user_text
    assert "# two.md" not in model.requests[0].last_user_text

    found = client.list_insights("pending")["insights"]
    assert client.list_insights("new")["insights"] == client.list_insights()["insights"] == found
    assert [item["content"] for item in client.list_insights(section="dates")["insights"]] == ["Name a date."]
    ids = {item["content"]: item["id"] for item in found}
    assert found[0]["evidence"] == [first]
    for _ in range(2):
        assert client.materialize_job(job_id) == {"jobId": job_id, "skillsGenerated": 2}
    assert client.get_job(job_id)["result"]["materialized"] is True

    assert refusal(client.generate_prompt)[1] == 400
    accepted = client.triage_insight(ids["Name a date."], "accepted", "yes")
    assert (accepted["status"], accepted["note"]) == ("accepted", "yes")
    rejected = client.triage_insight(ids["Be brief."], "rejected")
    assert rejected["status"] == "rejected"
    assert [item["id"] for item in client.list_insights("accepted")["insights"]] == [ids["Name a date."]]

    made = client.generate_prompt(label="first")
    assert (made["promptId"], made["version"], made["label"]) == ("default@1", 1, "first")
    assert made["content"]["text"] == "Follow these rules:\n- Name a date."
    assert client.generate_prompt()["promptId"] == "default@1"
    client.triage_insight(ids["Be brief."], "accepted")
    again = client.generate_prompt([ids["Be brief."]], "second")
    assert again["content"]["text"] == "Follow these rules:\n- Name a date.\n- Be brief."
    assert client.list_prompts() == [
        {"id": "default@2", "version": 2, "label": "second"},
        {"id": "default@1", "version": 1, "label": "first"},
    ]
    assert client.get_prompt("default@2") == {
        "id": "default@2",
        "version": 2,
        "label": "second",
        "content": again["content"],
    }

    client.generate_insights(model="claude-haiku-4-5", reflector_mode="standard")
    site.work_off()
    assert [f"# {name}" in model.requests[-1].last_user_text for name in ("one.md", "two.md")] == [True, True]


def test_what_is_not_there(client: KaybaClient, connect: Connect, book: Book) -> None:
    """404 for each id, of another workspace too; 400 where there is nothing to draw from."""
    assert refusal(client.generate_insights) == (
        "no traces to draw insights from; run `pytest --kaizen`, or upload some",
        400,
    )
    (trace,) = upload(client, "one.md")
    book.store("ours").save_insights([Insight(id="abcdef", task="default", rule="Be brief.")])
    job_id = client.generate_insights()["jobId"]
    stranger = connect("stranger")
    for ask in (
        lambda: stranger.generate_insights([trace]),
        lambda: client.generate_insights([trace[:8]]),
        lambda: stranger.get_job(job_id),
        lambda: client.get_job("last"),
        lambda: stranger.materialize_job(job_id),
        lambda: client.triage_insight("abc", "accepted"),
        lambda: stranger.triage_insight("abcdef", "accepted"),
        lambda: client.generate_prompt(["abc"]),
        lambda: client.get_prompt("default@1"),
        lambda: client.get_prompt("default"),
    ):
        assert refusal(ask)[1] == 404
    assert stranger.list_jobs() == []
    assert stranger.list_insights() == {"insights": []}
    assert stranger.list_prompts() == []


def test_prompts_of_a_task(client: KaybaClient, book: Book, site: Site) -> None:
    """Accepted insights of several tasks: the default one is meant, or the only one, or one is named."""
    store = book.store("ours")

    def accept(task: str) -> None:
        rule = f"Be {task}."
        store.save_insights([Insight(id=task, task=task, rule=rule, status=InsightStatus.ACCEPTED)])

    accept("one")
    assert client.generate_prompt()["promptId"] == "one@1"
    assert client.list_prompts() == []
    accept("two")
    assert refusal(client.generate_prompt) == (
        "accepted insights are of several tasks (one, two); name one: ?task=",
        400,
    )
    assert client.generate_prompt(["two"])["promptId"] == "two@1"
    assert refusal(lambda: client.generate_prompt(["one", "two"]))[1] == 400
    assert refusal(lambda: client.generate_prompt([]))[1] == 400
    accept("default")
    assert client.generate_prompt()["promptId"] == "default@1"
    assert store.activations.active("default") == 1


def test_a_key_that_comes_with_the_request_is_kept_nowhere(
    client: KaybaClient,
    site: Site,
    model: ScriptedLLM,
    home: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    model.fail(401, message=f"invalid key {OWN_KEY}")
    upload(client, "one.md")
    job_id = client.generate_insights(anthropic_key=OWN_KEY)["jobId"]
    assert OWN_KEY not in repr(site.state.worker)
    site.work_off()
    failed = client.get_job(job_id)
    assert failed["status"] == "failed"
    assert "HTTP 401" in failed["error"]
    assert OWN_KEY not in failed["error"] + caplog.text
    if home == "sqlite":
        kept = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
        assert job_id.encode() in kept
        assert OWN_KEY.encode() not in kept


def test_a_key_that_cannot_be_kept_encrypted_is_refused(
    client: KaybaClient, book: Book, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home == "sqlite":
        pytest.skip("beside a file there is room for a key")
    monkeypatch.delenv(sealed.KEY_VARIABLE)
    upload(client, "one.md")
    message, status = refusal(lambda: client.generate_insights(anthropic_key=OWN_KEY))
    assert status == 503
    assert message.startswith("set KAIZEN_SECRET_KEY")
    assert book.store("ours").jobs.newest() == []


@pytest.mark.asyncio
async def test_cancel(site: Site, book: Book, client: KaybaClient) -> None:
    """POST /jobs/{id}/cancel: queued and running jobs, of any kind; what has ended stays as it is."""
    store = book.store("ours")
    queued = jobs.create(store, "optimize", "a", {})
    running = jobs.start(store, "insights", "a", {})
    done = jobs.start(store, "insights", "b", {})
    jobs.finish(store, done)
    async with site.client("both") as http:
        for job in (queued, running, done):
            answer = await http.post(f"/api/jobs/{job.id}/cancel")
            assert (answer.status_code, answer.json()["jobId"]) == (200, job.id)
        assert (await http.post(f"/api/jobs/{NOBODY}/cancel")).status_code == 404
    async with site.client("stranger") as http:
        assert (await http.post(f"/api/jobs/{queued.id}/cancel")).status_code == 404
    stopped = [store.jobs.one(job.id).status for job in (queued, running, done)]
    assert stopped == [JobStatus.STOPPED, JobStatus.STOPPED, JobStatus.COMPLETED]
    shown = client.get_job(queued.id)
    assert (shown["status"], shown["error"]) == ("failed", "the job was stopped")
    # The process that has it ends with the next thing it stores.
    with pytest.raises(JobError, match="was stopped"):
        jobs.progress(store, running, "more", Spend())
    site.work_off()
    assert store.jobs.one(queued.id).owner is None


def test_without_any_key_the_job_fails_with_that_reason(
    client: KaybaClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    upload(client, "one.md")
    job_id = client.generate_insights()["jobId"]
    site.work_off()
    failed = client.get_job(job_id)
    assert failed["status"] == "failed"
    assert "set ANTHROPIC_API_KEY in the environment" in failed["error"]
    # It is over: the next one may start.
    assert client.generate_insights()["jobId"] != job_id
