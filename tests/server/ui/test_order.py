"""Tables that sort by links: every column, both ways, and with what is kept of the query."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_kaizen.models import (
    Experiment,
    Job,
    Run,
    Score,
    ScoreSource,
    Span,
    TaskSummary,
    Trace,
)
from pytest_kaizen.server.ui import runs
from pytest_kaizen.store import Store
from tests.hostile import AT
from tests.server.conftest import Site

from .conftest import Browser, Html
from .test_hostile import hostile_proposal
from .test_work import add_prompts

pytestmark = pytest.mark.asyncio


@pytest.fixture
def store(site: Site) -> Store:
    return site.book.store("ours")


def fill(store: Store) -> None:
    """Store two or three of everything, of which each column has another order than that of time."""
    for at, (score, cost) in enumerate([(0.5, 0.2), (0.9, None), (0.1, 0.1)]):
        made = AT + timedelta(hours=at)
        tasks = [
            TaskSummary(task=name, cases=1, collected=1, samples=1, score=score, cost_usd=cost)
            for name, score in (("sum", score), ("add", 1 - score))
        ]
        run = Run(id=f"r{at}", created_at=made, branch="xzy"[at], tasks=tasks)
        store.start_run(run)
        store.finish_run(run.model_copy(update={"status": "completed"}))
        scores = [Score(name="brief", value=score, source=ScoreSource.JUDGE)] if cost else []
        spans = [Span(id=str(n), name="s", started_at=AT, latency_ms=1.0) for n in range((at * 2) % 3)]
        name = "bca"[at]
        trace = Trace(id=f"t{at}", name=name, created_at=made, task="sum", scores=scores, spans=spans)
        store.shelf.add([trace])
        store.experiments.add(
            Experiment(
                id=f"e{at}",
                name=name,
                correlation_ids=["t0", "t1", "t2"][: 1 + (at * 2) % 3],
                created_at=made,
            )
        )
    for name, kind in (("j1", "optimize"), ("j2", "insights"), ("j3", "import")):
        store.jobs.add(Job(id=name, kind=kind, task=kind, created_at=AT), silent_since=AT)
    add_prompts(store)
    store.save_proposal(hostile_proposal("x"))


async def rows(browser: Browser, path: str, part: str) -> list[str]:
    """Return what the rows' own links name, in their order."""
    page = await browser.page(path)
    ends = [urlsplit(link).path.rpartition("/") for link in page.links]
    return [end for start, _, end in ends if start == f"/ui/{part}" and end != "compare"]


SORTED = [
    ("runs", "runs", "branch", ["r0", "r2", "r1"]),
    ("runs", "runs", "-branch", ["r1", "r2", "r0"]),
    # What has no cost is last, whichever way.
    ("runs", "runs", "cost", ["r2", "r0", "r1"]),
    ("runs", "runs", "-cost", ["r0", "r2", "r1"]),
    ("runs/r0", "runs/r0/tasks", "task", ["add", "sum"]),
    ("runs/r1", "runs/r1/tasks", "score", ["add", "sum"]),
    ("runs/r1", "runs/r1/tasks", "-score", ["sum", "add"]),
    ("traces", "traces", "name", ["t2", "t0", "t1"]),
    ("traces", "traces", "-name", ["t1", "t0", "t2"]),
    ("traces", "traces", "scores", ["t2", "t0", "t1"]),
    ("traces", "traces", "-spans", ["t1", "t2", "t0"]),
    ("traces?task=sum", "traces", "-when", ["t2", "t1", "t0"]),
    ("traces?task=none", "traces", "when", []),
    ("prompts/sum", "prompts/sum", "version", ["1", "2", "1"]),
    ("prompts/sum", "prompts/sum", "-version", ["2", "1", "1"]),
    ("jobs", "jobs", "-kind", ["j1", "j2", "j3"]),
    ("jobs", "jobs", "for", ["j3", "j2", "j1"]),
    ("experiments", "experiments", "experiment", ["e2", "e0", "e1"]),
    ("experiments", "experiments", "-traces", ["e1", "e2", "e0"]),
    ("experiments/e1", "traces", "-scores", ["t0", "t2", "t1"]),
]


async def test_rows_are_sorted(browser: Browser, store: Store) -> None:
    fill(store)
    await browser.sign_in("reads")
    for path, part, by, expected in SORTED:
        asked = f"/ui/{path}{'&' if '?' in path else '?'}sort={by}"
        assert await rows(browser, asked, part) == expected, asked


async def test_every_head_is_a_link_that_sorts(browser: Browser, store: Store) -> None:
    fill(store)
    await browser.sign_in("reads")
    for path in ("runs?limit=2", "runs/r0", "traces?task=sum", "prompts", "prompts/sum", "proposals",
                 "jobs",
                 "experiments", "experiments/e1"):  # fmt: skip
        page = await browser.page(f"/ui/{path}")
        heads = [link for link in page.links if "sort=" in link]
        assert len(heads) > 2, path
        assert not [head for head in page.all("th") if "aria-sort" in head]
        for head in heads:
            once = await browser.page(head)
            assert [th["aria-sort"] for th in once.all("th") if "aria-sort" in th] == ["ascending"], head
            (key,) = parse_qs(urlsplit(head).query)["sort"]
            (turned,) = (
                link for link in once.links if parse_qs(urlsplit(link).query).get("sort") == [f"-{key}"]
            )
            twice = await browser.page(turned)
            assert [th["aria-sort"] for th in twice.all("th") if "aria-sort" in th] == ["descending"], head
            # What was asked for besides is kept.
            assert ("task=sum" in turned) == ("task=sum" in path)
        unknown = await browser.page(f"{heads[0].partition('?')[0]}?sort=colour", 422)
        assert "there is no column 'colour'; sort by one of:" in unknown.text


async def test_sorted_traces_come_in_pages(
    browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    monkeypatch.setattr(runs, "_PAGE", 2)
    await browser.sign_in("reads")
    answer: Html = await browser.page("/ui/traces?sort=name")
    assert "Of the newest 10,000." in answer.text
    assert await rows(browser, "/ui/traces?sort=name", "traces") == ["t2", "t0"]
    (more,) = (link for link in answer.links if "skip=" in link)
    assert more == "/ui/traces?sort=name&skip=2"
    assert await rows(browser, more, "traces") == ["t1"]
    assert not [link for link in (await browser.page(more)).links if "skip=" in link]


async def test_all_runs_are_sorted_of_which_some_are_listed(browser: Browser, store: Store) -> None:
    fill(store)
    await browser.sign_in("reads")
    assert await rows(browser, "/ui/runs?limit=1", "runs") == ["r2"]
    assert await rows(browser, "/ui/runs?limit=1&sort=-branch", "runs") == ["r1"]
    page = await browser.page("/ui/runs?limit=1&sort=-branch")
    assert "/ui/runs?limit=51&sort=-branch" in page.links
