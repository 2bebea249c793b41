"""What is begun on pages: insights, experiments, searches; and agents, whose runs others begin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from pytest_kaizen.models import (
    Agent,
    AgentRun,
    AgentRunStatus,
    Case,
    FeedbackEntry,
    Run,
    Sample,
    Task,
    TaskSummary,
    Trace,
)
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server.ui import observing
from pytest_kaizen.store import Store, traces
from pytest_kaizen.store.database import Connection
from tests.hostile import AT
from tests.server.conftest import Site

from .conftest import Browser, Html
from .test_work import add_prompts

pytestmark = pytest.mark.asyncio


@pytest.fixture
def store(site: Site) -> Store:
    return site.book.store("ours")


def add_agent(store: Store) -> None:
    """Store an agent with two runs, of which the older one was evaluated and has a trace."""
    store.agents.add(Agent(id="bot", name="Bot", objective="answer", created_at=AT, updated_at=AT))
    for number, score in ((1, 0.75), (2, None)):
        run = AgentRun(
            id=f"0000000{number}-0000-4000-8000-000000000000",
            agent_id="bot",
            status=AgentRunStatus.RUNNING if score is None else AgentRunStatus.COMPLETED,
            trigger="manual",
            overall_score=score,
            created_at=AT + timedelta(hours=number),
        )
        store.agents.add_run(run)
    store.shelf.add([Trace(id="00000001000040008000000000000000", name="t", created_at=AT)])


def add_feedback(store: Store, entries: int = 12) -> None:
    """Store a task with feedback, of which the prompt may have versions."""
    task = Task(name="sum", cost_budget=0.01, created_at=AT, updated_at=AT)
    store.tasks.add(task)
    for number in range(entries):
        entry = FeedbackEntry(
            task_id=task.id, inputs={"n": str(number)}, output="x", score=0.5, created_at=AT
        )
        store.feedback.add(task, entry)


def add_run(store: Store, run_id: str = "r1") -> None:
    """Store a run of three cases; one has no score."""
    summary = TaskSummary(task="sum", cases=3, collected=3, samples=3)
    run = Run(id=run_id, created_at=AT, status="completed", tasks=[summary])
    store.start_run(run)
    for name, score, passed in (("b", 0.25, False), ("c", None, True), ("a", 0.75, True)):
        case = Case(id=name, run_id=run_id, task="sum", outcome="passed" if passed else "failed")
        trace = Trace(
            id=f"{run_id}-{name}", run_id=run_id, case_id=name, task="sum", name=name, created_at=AT
        )
        metrics = {} if score is None else {"score": score, "brief": 1 - score}
        store.add_sample(case, Sample(trace=trace, passed=passed, metrics=metrics), begins=True)
        store.finish_case(case)
    store.finish_run(run)


async def order(browser: Browser, sort: str) -> str:
    page = await browser.page(f"/ui/runs/r1/tasks/sum?sort={sort}")
    return "".join(link[-1] for link in page.links if "/case?id=" in link)


async def test_cases_are_sorted_by_each_column(browser: Browser, store: Store) -> None:
    add_run(store)
    await browser.sign_in("reads")
    page = await browser.page("/ui/runs/r1/tasks/sum")
    keys = [link.partition("sort=")[2] for link in page.links if "sort=" in link]
    assert keys == ["case", "gate", "score", "samples", "score%3Abrief", "latency", "cost"]
    assert [await order(browser, key) for key in ("case", "-case")] == ["abc", "cba"]
    # The worst first; what has no score is last, whichever way.
    assert await order(browser, "gate") == "bca"
    assert [await order(browser, key) for key in ("score", "-score")] == ["bac", "abc"]
    assert [await order(browser, key) for key in ("score%3Abrief", "-score%3Abrief")] == ["abc", "bac"]
    page = await browser.page("/ui/runs/r1/tasks/sum?sort=-score&only=not-passed")
    assert [head.get("aria-sort") for head in page.all("th") if "aria-sort" in head] == ["descending"]
    assert "/ui/runs/r1/tasks/sum?sort=-score" in page.links
    assert "/ui/runs/r1/tasks/sum?only=not-passed&sort=score" in page.links
    page = await browser.page("/ui/runs/r1/tasks/sum?sort=colour", 422)
    assert "there is no column 'colour'; sort by one of: case, gate, score" in page.text


async def test_insights_are_drawn(browser: Browser, store: Store) -> None:
    add_run(store)
    for name in ("one", "two", "loose"):
        store.shelf.add([Trace(id=name, name="t", created_at=AT, task=name, input=name)])
    await browser.sign_in("both")
    page = await browser.page("/ui/insights")
    assert "It costs $5.00 at most." in page.text
    drawn: list[tuple[dict[str, str], set[str]]] = [
        ({"trace": "one"}, {"one"}),
        ({"task": "two"}, {"two"}),
        ({}, {"sum", "one", "two"}),
    ]
    for fields, tasks in drawn:
        answer = await browser.send("/ui/insights", page.token, model="claude-haiku-4-5", **fields)
        job = store.jobs.newest()[0]
        assert answer.headers["location"] == f"/ui/jobs/{job.id}"
        assert (job.kind, job.settings["model"]) == ("insights", "claude-haiku-4-5")
        assert set(job.settings["traces"]) <= tasks
        assert job.settings["traces"]
        jobs.stop(store, job.id)
    for fields in ({"task": "none"}, {"trace": "none"}):
        assert (await browser.send("/ui/insights", page.token, **fields)).status_code == 404
    # What an optimisation will be proved on is not read.
    answer = await browser.send("/ui/insights", page.token, trace="loose")
    assert answer.status_code == 400
    assert "all 1 are held out to prove what an optimisation finds" in Html(answer.text).text
    assert len(store.jobs.newest()) == 3


@pytest.mark.parametrize("named", [True, False])
async def test_each_trace_is_read_once(
    browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    # With an input that is not held out.
    fields = {"name": "t", "created_at": AT, "task": "two", "input": "two"}
    store.shelf.add(Trace.model_validate({"id": f"t{at}", **fields}) for at in range(7))
    await browser.sign_in("both")
    page = await browser.page("/ui/insights")
    read = watched_reads(monkeypatch)
    more = {"trace": "t1"} if named else {"task": "two"}
    answer = await browser.send("/ui/insights", page.token, **more)
    assert answer.headers["location"] == f"/ui/jobs/{store.jobs.newest()[0].id}"
    # With the one that shows that the task has some.
    assert len(read) == (1 if named else 8)


def watched_reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the rows of traces that are read from now on."""
    read: list[object] = []
    read_all = traces._read_all

    def watched(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Trace]:
        read.extend(rows)
        return read_all(connection, rows)

    monkeypatch.setattr(traces, "_read_all", watched)
    return read


async def test_an_experiment_is_made(browser: Browser, store: Store) -> None:
    add_run(store)
    await browser.sign_in("both")
    page = await browser.page("/ui/experiments")
    assert [box["value"] for box in page.all("input") if box.get("name") == "run"] == ["r1"]
    answer = await browser.send(
        "/ui/experiments", page.token, name="tries", run="r1", ids=" late \r\n\r\nr1-a\n"
    )
    (made,) = store.experiments.newest()
    assert answer.headers["location"] == f"/ui/experiments/{made.id}"
    assert (made.name, made.correlation_ids) == ("tries", ["late", "r1-a", "r1-b", "r1-c"])
    assert "traces 3" in (await browser.page(f"/ui/experiments/{made.id}")).text
    # The same from the run's own page.
    page = await browser.page("/ui/runs/r1")
    fields = {one["name"]: one["value"] for one in page.all("input") if "value" in one}
    assert (fields["run"], fields["name"]) == ("r1", "run r1")
    for given, status in (({"name": "x", "ids": " "}, 422), ({"name": "x", "run": "none"}, 404), ({}, 422)):
        assert (await browser.send("/ui/experiments", page.token, **given)).status_code == status
    assert len(store.experiments.newest()) == 1


async def test_agents_with_their_runs(
    browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in("reads")
    assert "There are none yet" in (await browser.page("/ui/agents")).text
    add_agent(store)
    page = await browser.page("/ui/agents")
    assert "Bot general answer 2 1" in page.text
    assert "/ui/agents/bot" in page.links
    page = await browser.page("/ui/agents/bot")
    assert "Score 0.75 2 runs: 1 completed, 1 running; 1 evaluated." in page.text
    assert [link for link in page.links if link.startswith("/ui/traces/")] == [
        "/ui/traces/00000001000040008000000000000000"
    ]
    assert page.text.index("00000002-") < page.text.index("00000001-")
    monkeypatch.setattr(observing, "_AGENT_RUNS", 1)
    assert "/ui/agents/bot?after=1" in (await browser.page("/ui/agents/bot")).links
    page = await browser.page("/ui/agents/bot?after=1")
    assert "00000001-" in page.text
    assert "00000002-" not in page.text
    assert not [link for link in page.links if "after=" in link]
    await browser.page("/ui/agents/none", 404)


async def test_a_search_for_a_better_prompt_is_started(browser: Browser, store: Store) -> None:
    add_feedback(store)
    await browser.sign_in("both")
    page = await browser.page("/ui/prompts/sum/optimize")
    assert "It cannot start: no version of the prompt of 'sum' is active" in page.text
    add_prompts(store)
    assert "/ui/prompts/sum/optimize" in (await browser.page("/ui/prompts/sum")).links
    page = await browser.page("/ui/prompts/sum/optimize")
    assert "entries of feedback 12 since the last search 12" in page.text
    assert "It costs $0.0100 at most : up to $" in page.text
    assert "it stops at the budget of $0.0100" in page.text
    answer = await browser.send("/ui/prompts/sum/optimize", page.token)
    (job,) = store.jobs.newest()
    assert answer.headers["location"] == f"/ui/jobs/{job.id}"
    assert (job.kind, job.task, job.settings["source"]) == ("optimize", "sum", "feedback")
    page = await browser.page("/ui/prompts/sum/optimize")
    assert "It cannot start: an optimisation of 'sum' is active already" in page.text
    assert (await browser.send("/ui/prompts/sum/optimize", page.token)).status_code == 409
    assert (await browser.send("/ui/prompts/none/optimize", page.token)).status_code == 404


async def test_who_may_not_write_sees_no_forms(browser: Browser, store: Store) -> None:
    add_run(store)
    add_feedback(store)
    add_prompts(store)
    await browser.sign_in("reads")
    for path in ("insights", "experiments", "runs/r1", "traces/r1-a", "prompts/sum/optimize"):
        forms = [form["action"] for form in (await browser.page(f"/ui/{path}")).all("form")]
        assert forms == ["/ui/search", "/ui/sign-out"], path
