"""What Kate's page has done after a request: evaluations, and runs of agents that the server runs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from pytest_kaizen import KateClient
from pytest_kaizen.config import AgentConfig
from pytest_kaizen.errors import KateError
from pytest_kaizen.models import Job, JobStatus
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.platforms.kate import Run
from pytest_kaizen.scripted import Request, ScriptedLLM
from tests.server.conftest import Book, MakeSite, Site
from tests.server.routes.conftest import ONE_VARIANT, Way

#: Nothing here takes so long; it only ends a test that would hang.
PATIENCE_S = 120
RUBRIC = """\
name: bot
criteria:
  - {name: kind, description: It is kind., scale: [1, 5]}
"""
#: An agent without an SDK: it asks its model what it is asked, and says what that says.
PROGRAM = """
import json, os, sys, urllib.request

given = sys.stdin.read()
body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": given}]}
headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "Content-Type": "application/json"}
url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
    print(json.load(answer)["content"][0]["text"])
"""
MODULE = """
import sys

async def answer(given):
    print("this is no answer")
    return {"said": given}

def breaks(given):
    sys.exit("no such thing as " + given)
"""


@pytest.fixture
def site(make_site: MakeSite, tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "bot.yaml").write_text(RUBRIC, encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "agents_here.py").write_text(MODULE, encoding="utf-8")
    python = json.dumps(sys.executable)
    agents = {
        "program": AgentConfig(command=f"{python} program.py", rubric="bot.yaml", cooldown_s=0),
        "function": AgentConfig(callable="agents_here:answer"),
        "breaks": AgentConfig(callable="agents_here:breaks"),
        "slow": AgentConfig(command=f"{python} -c 'import time; time.sleep(600)'", timeout_s=0.5),
        "missing": AgentConfig(command="there-is-no-such-program"),
        "judged": AgentConfig(rubric="bot.yaml", cooldown_s=0),
        "rarely": AgentConfig(rubric="bot.yaml", cooldown_s=3600),
    }
    made = make_site(config={"agents": agents, "root": tmp_path})
    with made.state.worker:
        yield made


@pytest_asyncio.fixture
async def client(way: Way, book: Book) -> AsyncIterator[KateClient]:
    async with KateClient(book.keys["both"], way.url, transport=way.transport) as made:
        yield made


async def ended(client: KateClient, agent: str, run: str) -> Run:
    """Poll as clients do."""
    until = time.monotonic() + PATIENCE_S
    while (found := await client.runs.get(agent, run_id=run)).status not in ("completed", "failed"):
        assert time.monotonic() < until, found
        await asyncio.sleep(0.02)
    return found


async def job_of(book: Book, run: str) -> Job:
    """Wait for the job of a run, which ends after the run: by then its evaluation is begun."""
    store, until = book.store("ours"), time.monotonic() + PATIENCE_S
    while True:
        (job,) = store.jobs.newest(run)
        if job.status.final:
            return job
        assert time.monotonic() < until, job
        await asyncio.sleep(0.02)


async def evaluated(book: Book, agent: str) -> list[str]:
    """Wait for the evaluations of an agent; return how they ended."""
    store, until = book.store("ours"), time.monotonic() + PATIENCE_S
    while True:
        found = store.jobs.newest(agent, kind="evaluation")
        if all(job.status.final for job in found):
            return [job.error or job.status for job in found]
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


async def a_run(client: KateClient, agent: str, text: str = "Hello") -> Run:
    """A run that was reported and completed."""
    run = await client.runs.create(agent)
    span = {"node_name": "say", "input_text": "Hi", "output_text": text}
    await client.runs.upload_spans(agent, run_id=run.id, spans=[span])
    return await client.runs.complete(agent, run_id=run.id)


async def shown(client: KateClient, job: str) -> dict[str, Any]:
    """The job as it is shown to others by its UUID."""
    assert str(UUID(job)) == job
    headers = {"X-API-Key": client._key._key or ""}
    async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
        found = (await http.get(f"/api/jobs/{job}", headers=headers)).json()
    return {name: found[name] for name in ("jobId", "status")}


def grading(score: Any) -> Any:
    """A model that grades with this, and answers all else with a greeting."""

    def answer(request: Request) -> str:
        if request.schema is None:
            return f"Hello to {request.last_user_text}"
        return json.dumps({"kind": {"reason": "so so", "score": score}})

    return answer


@pytest.mark.asyncio
@pytest.mark.wire("kate: POST /agents/{agent_id}/runs/{run_id}/complete")
async def test_post_complete_evaluates(client: KateClient, book: Book, model: ScriptedLLM) -> None:
    model.reply(grading(4))
    done = await a_run(client, "judged")
    assert (done.status, done.overall_score) == ("completed", None)
    assert await evaluated(book, "judged") == [JobStatus.COMPLETED]
    found = await client.runs.get("judged", run_id=done.id)
    # The score appears when it is done, and a completed run stays completed.
    assert (found.status, found.overall_score) == ("completed", 0.75)
    assert await client.runs.complete("judged", run_id=done.id) == found
    assert len(await evaluated(book, "judged")) == 1
    assert "It is kind." in model.requests[0].last_user_text


@pytest.mark.asyncio
@ONE_VARIANT
async def test_post_complete_within_the_cooldown(client: KateClient, book: Book, model: ScriptedLLM) -> None:
    model.reply(grading(4))
    first, second = await a_run(client, "rarely"), await a_run(client, "rarely", "Other")
    assert await evaluated(book, "rarely") == [JobStatus.COMPLETED]
    assert (await client.runs.get("rarely", run_id=first.id)).overall_score == 0.75
    assert (await client.runs.get("rarely", run_id=second.id)).overall_score is None


@pytest.mark.asyncio
@pytest.mark.wire("kate: GET /agents/{agent_id}/eval/summary")
async def test_get_summary_after_evaluations(client: KateClient, book: Book, model: ScriptedLLM) -> None:
    for score in (5, 5, 2):
        model.reply(grading(score))
        await a_run(client, "judged", f"Hello {score}")
        await evaluated(book, "judged")
    summary = await client.evals.summary("judged")
    assert (summary.overall_score, summary.regression_detected) == (0.25, True)
    assert summary.recommendations == ["kind 0.25: so so"]
    assert summary.intelligence_summary is not None
    assert summary.intelligence_summary.startswith("3 runs: 3 completed; 3 evaluated. The newest runs beside")
    assert "score fell by 0.75" in summary.intelligence_summary
    (last, *_) = book.store("ours").jobs.newest("judged", kind="evaluation")
    assert summary.updated_at == last.finished_at


@pytest.mark.parametrize("reply", ["None of your business.", '{"kind": {"reason": "r", "score": 50}}'])
@pytest.mark.asyncio
@ONE_VARIANT
async def test_a_judge_that_cannot_be_understood_gives_no_score(
    client: KateClient, book: Book, model: ScriptedLLM, reply: str
) -> None:
    model.reply(reply)
    done = await a_run(client, "judged")
    (error,) = await evaluated(book, "judged")
    assert "gave no readable answer in 3 attempts" in error
    assert (await client.runs.get("judged", run_id=done.id)).overall_score is None
    assert (await client.evals.summary("judged")).overall_score is None


@pytest.mark.asyncio
@ONE_VARIANT
async def test_an_evaluation_without_a_key_fails_with_that_reason(
    client: KateClient, book: Book, model: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.reply(grading(5))
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    with monkeypatch.context() as without:
        without.delenv("ANTHROPIC_API_KEY")
        run = await a_run(client, "judged")
        (error,) = await evaluated(book, "judged")
    assert "set ANTHROPIC_API_KEY in the environment" in error
    told = (await client.evals.summary("judged")).intelligence_summary
    assert told == f"1 run: 1 completed; none evaluated. The last evaluation failed: {error}."
    # It is made up for when the run is completed once more.
    assert (await client.runs.complete("judged", run_id=run.id)).completed_at == run.completed_at
    assert (await evaluated(book, "judged"))[0] == JobStatus.COMPLETED
    assert (await client.runs.get("judged", run_id=run.id)).overall_score == 1.0
    told = (await client.evals.summary("judged")).intelligence_summary
    assert told == "1 run: 1 completed; 1 evaluated."


@pytest.mark.asyncio
@pytest.mark.wire("kate: POST /agents/{agent_id}/runs/enqueue")
async def test_post_enqueue_runs_a_command(client: KateClient, book: Book, model: ScriptedLLM) -> None:
    model.reply(grading(5))
    secret = "sk-ant-" + "q" * 40
    queued = await client.runs.enqueue("program", user_input=f"Ada {secret}")
    assert queued.status == "queued"
    run = await ended(client, "program", queued.run_id)
    assert (run.status, run.trigger) == ("completed", "manual")
    found = await client.runs.spans("program", run_id=run.id)
    agent, call = found.spans
    redacted = "Ada [redacted: Anthropic key]"
    assert (agent.span_kind, agent.input_text, agent.output_text) == (
        "AGENT",
        redacted,
        f"Hello to {redacted}",
    )
    assert (call.span_kind, call.model, call.output_text) == (
        "LLM",
        "claude-haiku-4-5",
        f"Hello to {redacted}",
    )
    job = await job_of(book, queued.run_id)
    assert (await shown(client, queued.job_id)) == {"jobId": job.id, "status": "completed"}
    assert (job.kind, job.status) == ("agent-run", JobStatus.COMPLETED)
    assert secret not in job.model_dump_json()
    assert await evaluated(book, "program") == [JobStatus.COMPLETED]
    assert (await client.runs.get("program", run_id=run.id)).overall_score == 1.0
    assert [agent.id for agent in await client.agents.list()] == ["program"]


@pytest.mark.asyncio
@ONE_VARIANT
async def test_post_enqueue_runs_a_function(client: KateClient, book: Book) -> None:
    queued = await client.runs.enqueue("function", "test", user_input="Grüße")
    assert (await ended(client, "function", queued.run_id)).status == "completed"
    (span,) = (await client.runs.spans("function", run_id=queued.run_id)).spans
    assert (span.input_text, span.output_text) == ("Grüße", '{"said": "Grüße"}')
    await job_of(book, queued.run_id)
    # Nothing says what is good, so nothing is evaluated.
    assert await evaluated(book, "function") == []


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("breaks", "the agent exited with status 1: no such thing as luck"),
        ("slow", "the agent did not end within 0.5 s"),
        ("missing", "the agent cannot be run: "),
    ],
)
@pytest.mark.asyncio
@ONE_VARIANT
async def test_an_agent_that_fails(client: KateClient, book: Book, agent: str, reason: str) -> None:
    queued = await client.runs.enqueue(agent, user_input="luck")
    run = await ended(client, agent, queued.run_id)
    assert (run.status, run.overall_score) == ("failed", None)
    assert run.completed_at is not None
    (span,) = (await client.runs.spans(agent, run_id=run.id)).spans
    assert (span.error or "").startswith(reason)
    job = await job_of(book, queued.run_id)
    assert job.status is JobStatus.FAILED
    assert (job.error or "").startswith(reason)


@pytest.mark.asyncio
@ONE_VARIANT
async def test_post_enqueue_of_what_cannot_be_run(client: KateClient, way: Way, book: Book) -> None:
    await client.runs.create("judged")
    for agent, status in (("judged", 409), ("nobody", 404)):
        with pytest.raises(KateError) as caught:
            await client.runs.enqueue(agent, user_input="Go")
        assert caught.value.status_code == status
    async with KateClient(book.keys["reads"], way.url, transport=way.transport) as reads:
        with pytest.raises(KateError) as caught:
            await reads.runs.enqueue("program", user_input="Go")
    assert caught.value.status_code == 403
    assert book.store("ours").jobs.newest() == []


@pytest.mark.asyncio
@ONE_VARIANT
async def test_a_run_whose_job_is_stopped_before_it_begins_has_failed(
    client: KateClient, book: Book, site: Site
) -> None:
    site.state.worker._stop.set()
    queued = await client.runs.enqueue("function", user_input="Go")
    assert (await client.runs.get("function", run_id=queued.run_id)).status == "queued"
    (job,) = book.store("ours").jobs.newest(queued.run_id)
    jobs.stop(book.store("ours"), job.id)
    assert (await client.runs.get("function", run_id=queued.run_id)).status == "failed"
    assert [run.status for run in await client.runs.list("function")] == ["failed"]
