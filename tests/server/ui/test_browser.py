"""The pages in a real browser: scripts, keys, live jobs, and what a screen reader needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from pytest_kaizen.models import (
    Case,
    GateResult,
    Message,
    Outcome,
    Part,
    Run,
    Sample,
    Scope,
    Score,
    ScoreSource,
    Span,
    SpanKind,
    Spend,
    TaskSummary,
    Trace,
)
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.store import Store
from tests.hostile import AT
from tests.server.conftest import Live, Site

from .conftest import PATIENCE_MS, keep, needs_chromium, note
from .test_begun import add_agent, add_feedback
from .test_hostile import hostile_proposal, store_hostile
from .test_observing import add_experiments
from .test_work import add_insights, add_prompts, status_of

pytestmark = needs_chromium


@pytest.fixture
def live(site: Site) -> Iterator[str]:
    with Live(site.app) as running:
        yield running.url


@pytest.fixture
def context(chromium: Browser, live: str) -> Iterator[BrowserContext]:
    made = chromium.new_context(base_url=live, viewport={"width": 1200, "height": 900})
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    """A page that is signed in with all scopes; what its console shows fails the test."""
    opened = context.new_page()
    shown: list[str] = []
    opened.on("console", lambda said: note(shown, said))
    opened.on("pageerror", lambda error: shown.append(str(error)))
    sign_in(opened, site)
    yield opened
    assert shown == []


@pytest.fixture
def store(site: Site) -> Store:
    return site.book.store("ours")


def sign_in(page: Page, site: Site) -> None:
    page.goto("/ui")
    page.get_by_label("API key").fill(site.book.keys["all"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/runs")


def add_runs(store: Store) -> None:
    """Store three runs of a task, as sessions on three days would."""
    for number in range(3):
        at = AT + timedelta(days=number)
        score = 0.5 + number / 5
        gate = GateResult(
            scope=Scope.TASK,
            task="sum",
            name="score",
            figure=score,
            bar=">= 0.80",
            outcome=Outcome.PASS if score >= 0.8 else Outcome.FAIL,
            sentence=f"score {score:.2f}, wanted 0.80",
        )
        summary = TaskSummary(task="sum", cases=2, collected=2, samples=2, score=score, gates=[gate])
        run = Run(id=f"2026-{number}", created_at=at, branch="main", revision="0123abc", tasks=[summary])
        store.start_run(run)
        for case_id in ("tests/t.py::test_one", "tests/t.py::test_two"):
            case = Case(id=case_id, run_id=run.id, task="sum")
            store.add_sample(case, sample_of(case, score), begins=True)
            store.finish_case(case)
        store.finish_run(run.model_copy(update={"status": "completed"}))


def sample_of(case: Case, score: float) -> Sample:
    asked = Message(role="user", parts=[Part(type="text", content="The kettle leaks.")])
    called = Part.model_validate({"type": "tool_call", "name": "look", "arguments": {"what": "kettle"}})
    answered = Message(role="assistant", parts=[called, Part(type="text", content="A leak.")])
    spans = [
        Span(id="1", name="agent", kind=SpanKind.AGENT, started_at=AT, latency_ms=900.0),
        Span(
            id="2",
            parent_id="1",
            name="chat",
            started_at=AT + timedelta(milliseconds=100),
            latency_ms=500.0,
            model="claude-haiku-4-5",
            input=[asked],
            output=[answered],
            cost_usd=0.001,
        ),
        Span(
            id="3",
            parent_id="1",
            name="look",
            kind=SpanKind.TOOL,
            started_at=AT + timedelta(milliseconds=650),
            latency_ms=200.0,
            error="not found",
        ),
    ]
    trace = Trace(
        id=f"{case.run_id}-{case.id[-3:]}",
        run_id=case.run_id,
        case_id=case.id,
        task="sum",
        name=case.id,
        created_at=AT,
        input="The kettle leaks.",
        output="A leak.",
        scores=[Score(name="brief", value=score, source=ScoreSource.JUDGE, reason="one sentence")],
        spans=spans,
    )
    return Sample(trace=trace, passed=True, metrics={"score": score, "brief": score, "latency_ms": 900.0})


_AXE = Axe()
#: Every kind of page that has something on it.
PAGES = (
    "runs",
    "runs/2026-2",
    "runs/2026-2/tasks/sum",
    "runs/2026-2/tasks/sum?sort=-score",
    "runs/2026-2/case?id=tests/t.py::test_one",
    "traces",
    "traces/2026-2-one",
    "traces/2026-2-one/spans/1",
    "search?q=kettle",
    "prompts",
    "prompts/sum",
    "prompts/sum/2",
    "prompts/sum/optimize",
    "insights",
    "insights?status=accepted",
    "proposals",
    "jobs",
    "experiments",
    "experiments/e",
    "experiments/compare?id=e&id=f",
    "behaviors",
    "behaviors/vague",
    "agents",
    "agents/bot",
    "integrations",
    "keys",
)
#: Where each colour is seen.
COLOURFUL = ("runs/2026-2/tasks/sum", "traces/2026-2-one", "prompts/sum/2", "insights")


def problems(page: Page, path: str, *rules: str) -> list[str]:
    """Return what axe-core has against a page: by all of its rules, or by those named."""
    options = {"runOnly": list(rules)} if rules else {}
    return [
        f"{path}: {one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in _AXE.run(page, options=options).response["violations"]
    ]


def test_pages_can_be_used_by_everyone(page: Page, site: Site, store: Store, tmp_path: Path) -> None:
    add_runs(store)
    add_prompts(store)
    add_insights(store, "a", "b")
    store.save_proposal(hostile_proposal("x"))
    add_experiments(store)
    add_agent(store)
    add_feedback(store)
    site.book.open("ours").index(anyway=True)
    found = []
    for path in PAGES:
        page.goto(f"/ui/{path}")
        # What is folded away is seen by some.
        page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
        keep(page, tmp_path, path.replace("/", "-").partition("?")[0])
        found += problems(page, path)
    page.emulate_media(color_scheme="dark")
    for path in COLOURFUL:
        page.goto(f"/ui/{path}")
        keep(page, tmp_path, f"dark-{path.replace('/', '-')}")
        found += problems(page, path, "color-contrast")
    assert found == []


def test_hostile_text_does_nothing(page: Page, site: Site, store: Store) -> None:
    store_hostile(store)
    for path in ("runs", "traces", "insights", "jobs", "proposals"):
        page.goto(f"/ui/{path}")
        expect(page.get_by_text("<script>").first).to_be_visible()
        assert page.evaluate("document.documentElement.className") == "", path
    assert page.locator("img, iframe, object").count() == 0
    # The chart is drawn, with the name of the task as a text.
    page.goto("/ui/runs")
    expect(page.locator("figure canvas").first).to_be_visible()


def test_no_page_is_wider_than_a_narrow_screen(page: Page, site: Site, store: Store) -> None:
    store_hostile(store)
    add_runs(store)
    add_prompts(store)
    page.set_viewport_size({"width": 390, "height": 800})
    run, hostile = store.runs(5)[-1], store.intake.page(limit=1).traces[0]
    for path in (
        *("runs", "runs/2026-2/tasks/sum", "traces", "prompts/sum", "insights", "jobs", "experiments"),
        *("agents", "keys", f"runs/{quote(run.id, safe='')}", f"traces/{quote(hostile.id, safe='')}"),
    ):
        page.goto(f"/ui/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path


def test_a_table_is_sorted_by_keyboard(page: Page, store: Store) -> None:
    add_runs(store)
    page.goto("/ui/runs")
    for way, first in (("ascending", "2026-0"), ("descending", "2026-2")):
        page.get_by_role("columnheader").get_by_role("link", name="When").press("Enter")
        expect(page.get_by_role("columnheader", name="When")).to_have_attribute("aria-sort", way)
        expect(page.get_by_role("rowheader").first).to_have_text(first)
    # The figures of a chart, which come with it, are sorted where they are.
    page.get_by_text("Figures").click()
    figures = page.locator("figure")
    for way, first in (("ascending", "0.50"), ("descending", "0.90")):
        figures.get_by_role("button", name="score").press("Enter")
        expect(figures.get_by_role("columnheader", name="score")).to_have_attribute("aria-sort", way)
        expect(figures.locator("tbody tr").first.locator("td").nth(2)).to_have_text(first)


def test_insights_are_triaged_by_keyboard(page: Page, store: Store) -> None:
    add_insights(store, "a", "b", "c", "d")
    page.goto("/ui/insights")
    for pressed, focused in (("j", "i-d"), ("j", "i-c"), ("k", "i-d"), ("a", "i-c")):
        page.keyboard.press(pressed)
        expect(page.locator(f"#{focused}")).to_be_focused()
    page.keyboard.press("n")
    # Letters are letters in a note.
    page.keyboard.type("jar, not kettle")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#i-b")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("rejected: rule c")
    assert status_of(store) == {"a": "pending", "b": "pending", "c": "rejected", "d": "accepted"}
    assert {insight.note for insight in store.insights()} == {None, "jar, not kettle"}
    # The keys can be switched off, and stay so.
    page.get_by_text("Keyboard", exact=True).click()
    page.get_by_label("These keys are on").uncheck()
    page.reload()
    page.keyboard.press("j")
    page.keyboard.press("a")
    assert status_of(store)["b"] == "pending"


def test_a_prompt_is_activated(page: Page, store: Store) -> None:
    add_prompts(store)
    page.goto("/ui/prompts")
    page.get_by_role("link", name="sum").click()
    page.get_by_role("button", name="Activate version 2").click()
    expect(page.get_by_role("row", name="version 2")).to_contain_text("active")
    assert store.activations.active("sum") == 2


def test_a_job_is_watched_to_its_end(page: Page, store: Store) -> None:
    job = jobs.start(store, "insights", "sum", {})
    page.goto(f"/ui/jobs/{job.id}")
    expect(page.get_by_role("status")).to_have_text("Live.")
    jobs.progress(store, job, "chunk 1 of 2", Spend(calls=3, usd=0.25))
    expect(page.locator("[data-field=step]")).to_have_text("chunk 1 of 2")
    expect(page.locator("[data-field=spent]")).to_have_text("$0.2500, 3 calls")
    job.result = {"skillsGenerated": 2}
    jobs.finish(store, job)
    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page.locator("[data-field=status]")).to_have_text("completed")


def test_it_works_without_scripts(chromium: Browser, live: str, site: Site, store: Store) -> None:
    add_insights(store, "a", "b")
    add_runs(store)
    context = chromium.new_context(base_url=live, java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    sign_in(page, site)
    page.get_by_role("link", name="2026-2").click()
    page.get_by_role("link", name="sum").click()
    page.get_by_role("link", name="tests/t.py::test_one").click()
    page.get_by_role("link", name="Trace 2026-2-one").click()
    page.get_by_text("AGENT agent").click()
    page.get_by_role("link", name="Insights").click()
    page.locator("#i-b").get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_have_text("accepted: rule b")
    assert status_of(store) == {"a": "pending", "b": "accepted"}
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_the_keyboard_comes_to_the_content_first(page: Page) -> None:
    page.goto("/ui/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
