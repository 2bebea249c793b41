"""Texts of models and programs: in every field of everything, seen on every page, by one workspace only."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from pytest_kaizen.models import (
    Acceptance,
    Agent,
    AgentRun,
    Annotation,
    Behavior,
    CasePair,
    CriterionPair,
    Decision,
    Experiment,
    FeedbackEntry,
    Insight,
    InsightStatus,
    Job,
    JobStatus,
    PromptVersion,
    Proposal,
    PullRequest,
    Spend,
    Task,
)
from pytest_kaizen.server.table import Table
from pytest_kaizen.server.ui import PAGES
from pytest_kaizen.server.ui.page import url
from pytest_kaizen.store import Store
from pytest_kaizen.store.feedback import Rating
from tests.hostile import AT, ATTACK, HOSTILE, HUGE, SCRIPT, hostile_run
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio

#: What a page is made of, and all that its elements may say.
TAGS = """
a article b body br button caption code datalist dd details div dl dt fieldset figcaption figure form h1 h2 h3
h4 head header html input kbd label legend li link main meta nav ol option p pre rect script section select
span strong summary svg table tbody td textarea th thead title tr ul
"""
_TABLE = Table(PAGES)
FIRST = (
    "/ui/runs",
    "/ui/search?q=img",
    "/ui/insights?status=accepted",
    url("experiments", "compare", id=[HOSTILE, HUGE]),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def store_hostile(store: Store) -> None:
    """Store one of everything, with hostile text in every field."""
    run, cases = hostile_run()
    store.start_run(run)
    for case in cases:
        for number, sample in enumerate(case.samples):
            trace = sample.trace.model_copy(update={"id": f"{sample.trace.id}{number}", "sample": number})
            store.add_sample(case, sample.model_copy(update={"trace": trace}), begins=number == 0)
        store.finish_case(case, begins=not case.samples)
    store.finish_run(run)
    store.ratings.put(f"{HOSTILE}0", Rating(rating="up", comment=HOSTILE))
    for number in (1, 2):
        text = f"{HOSTILE}\n{number}"
        version = PromptVersion(
            task=HOSTILE, version=number, sha256=text, text=text, note=HOSTILE, model=HOSTILE
        )
        store.save_prompts(
            [version.model_copy(update={"parent": number - 1 or None, "variables": (HOSTILE,)})]
        )
    store.activations.activate(HOSTILE, 1)
    proposal = hostile_proposal(text)
    store.save_insights(proposal.insights)
    store.save_proposal(proposal)
    job = Job(
        id=HOSTILE,
        kind="optimize",
        task=HOSTILE,
        step=HOSTILE,
        triggered_by=HOSTILE,
        created_at=AT,
        settings={HOSTILE: HOSTILE},
        result={HOSTILE: HUGE, "version": 2},
        error=HOSTILE,
    )
    store.jobs.add(job, silent_since=AT)
    for name in (HOSTILE, HUGE):
        store.experiments.add(Experiment(id=name, name=name, correlation_ids=[f"{HOSTILE}0"], created_at=AT))
    store.annotations.add_behavior(Behavior(label=HOSTILE, description=HOSTILE, created_at=AT))
    for label in (HOSTILE, "undefined"):
        said = Annotation(trace_id=f"{HOSTILE}0", label=label, confidence=1, notes=HOSTILE, created_at=AT)
        store.annotations.add(said)
    store.integrations.put("mlflow", {"tracking_uri": HOSTILE, "username": HOSTILE})
    store.agents.add(
        Agent(id=HOSTILE, name=HOSTILE, domain=HOSTILE, objective=HOSTILE, created_at=AT, updated_at=AT)
    )
    store.agents.add_run(AgentRun(id=f"{HOSTILE}0", agent_id=HOSTILE, trigger=HOSTILE, created_at=AT))
    evaluation = Job(
        id=f"evaluation {HOSTILE}",
        kind="evaluation",
        task=HOSTILE,
        status=JobStatus.COMPLETED,
        created_at=AT,
        finished_at=AT,
        result={"recommendations": [HOSTILE, HUGE]},
        error=HOSTILE,
    )
    store.jobs.add(evaluation, silent_since=AT)
    task = Task(name=HOSTILE, target_model=HOSTILE, created_at=AT, updated_at=AT)
    store.tasks.add(task)
    store.feedback.add(task, FeedbackEntry(task_id=task.id, inputs={HOSTILE: HOSTILE}, created_at=AT))


def hostile_proposal(text: str) -> Proposal:
    fields = {"section": HOSTILE, "rule": HOSTILE, "when": HOSTILE, "criterion": HOSTILE, "note": HOSTILE}
    more = {"evidence": (f"{HOSTILE}0",), "justification": HOSTILE, "contradicts": (HOSTILE, "none")}
    insights = [
        Insight.model_validate(
            {"id": f"{HOSTILE}{status}", "task": HOSTILE, "status": status, **fields, **more}
        )
        for status in InsightStatus
    ]
    acceptance = Acceptance(
        decision=Decision.UNDERPOWERED,
        min_gain=0,
        confidence=0.95,
        look=1,
        level=0.05,
        cases=[CasePair(case_id=HOSTILE, before=0.1, after=0.9)],
        criteria=[CriterionPair(name=HOSTILE, before=None, after=0.5, critical=True, fell=True)],
        missing=[HOSTILE],
        sentence=HOSTILE,
    )
    return Proposal(
        id=HOSTILE,
        task=HOSTILE,
        parent_sha256=HOSTILE,
        sha256=text,
        text=HOSTILE,
        diff=[f"+{HOSTILE}", f"-{HOSTILE}"],
        insights=insights,
        engine=HOSTILE,
        acceptance=acceptance,
        spend=Spend(),
        pull_request=PullRequest(branch=HOSTILE, url=f"javascript:{SCRIPT}"),
    )


async def crawl(browser: Browser) -> dict[str, Html]:
    """Follow every link from the first pages; give the pages by their paths."""
    found: dict[str, Html] = {}
    waiting = list(FIRST)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = await browser.page(path)
        links = [link.partition("#")[0] for link in found[path].links if link.startswith("/ui/")]
        # The same rows in another order are the same texts.
        waiting += [link for link in links if "sort=" not in link or link.endswith("sort=case")]
    return found


def check(path: str, page: Html) -> None:
    """Make sure that nothing on a page came out of a text."""
    assert {tag for tag, _ in page.elements} <= set(TAGS.split()), path
    for tag, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")}, path
        if tag == "script":
            assert attributes.get("type") == "application/json" or "/ui/static/" in attributes["src"]
        for name in ("href", "action", "src"):
            assert urlsplit(attributes.get(name, "")).scheme in ("", "https", "http"), path
    assert not {"\x1b", "\u202e"} & set("".join(page.texts)), path
    assert not {"\x1b", "\u202e"} & set(
        "".join(value for _, given in page.elements for value in given.values())
    )
    assert max(map(len, page.texts), default=0) < 3 * len(HUGE)


def check_forms(path: str, page: Html) -> None:
    """Make sure that each form goes where something takes it."""
    for form in page.all("form"):
        raw = urlsplit(form["action"]).path
        scope = {"method": form.get("method", "get").upper(), "path": unquote(raw), "raw_path": raw.encode()}
        assert _TABLE.find(scope), path


async def test_hostile_text_is_text_on_every_page(browser: Browser, site: Site) -> None:
    store_hostile(site.book.store("ours"))
    site.book.open("ours").index(anyway=True)
    await browser.sign_in("all")
    pages = await crawl(browser)
    for path, page in pages.items():
        check(path, page)
        check_forms(path, page)
    shown = " ".join(page.text for page in pages.values())
    assert shown.count(ATTACK) > 100
    assert "\\x1b[31m\\u202e" in shown
    assert "more characters in the store)" in shown
    # Each kind of page was come to.
    kinds = {path.partition("?")[0].count("/") for path in pages}
    assert kinds >= {2, 3, 4, 5}

    # The same ids are not there in another workspace.
    stranger = Browser(site)
    await stranger.sign_in("stranger")
    for path in pages:
        answer = await stranger.get(path)
        assert answer.status_code == (200 if path.count("/") == 2 else 404), path
        if path == "/ui/keys":
            assert "stranger (yours)" in answer.text
            assert "reads" not in answer.text
        elif answer.status_code == 200:
            assert "td" not in {tag for tag, _ in Html(answer.text).elements}, path
