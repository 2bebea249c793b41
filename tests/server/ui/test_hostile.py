"""Texts of models and programs: in every field of everything, seen on every page, by one workspace only."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from pytest_kaizen.models import Run
from pytest_kaizen.store import Store
from tests.hostile import ATTACK, HUGE, hostile_run
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio

#: What a page is made of, and all that its elements may say.
TAGS = """
a article b body br button caption code dd details div dl dt fieldset figcaption figure form h1 h2 h3 h4 head
header html input label legend li link main meta nav ol option p pre rect script section select span strong
summary svg table tbody td textarea th thead title tr ul
"""
FIRST = ("/ui/runs", "/ui/traces", "/ui/search?q=img")


def store_hostile(store: Store) -> Run:
    """Store a run of which every field is hostile."""
    run, cases = hostile_run()
    store.start_run(run)
    for case in cases:
        for number, sample in enumerate(case.samples):
            trace = sample.trace.model_copy(update={"id": f"{sample.trace.id}{number}", "sample": number})
            store.add_sample(case, sample.model_copy(update={"trace": trace}), begins=number == 0)
        store.finish_case(case, begins=not case.samples)
    store.finish_run(run)
    return run


async def crawl(browser: Browser) -> dict[str, Html]:
    """Follow every link from the first pages; give the pages by their paths."""
    found: dict[str, Html] = {}
    waiting = list(FIRST)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = await browser.page(path)
        waiting += [link.partition("#")[0] for link in found[path].links if link.startswith("/ui/")]
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


async def test_hostile_text_is_text_on_every_page(browser: Browser, site: Site) -> None:
    store_hostile(site.book.store("ours"))
    site.book.open("ours").index(anyway=True)
    await browser.sign_in("all")
    pages = await crawl(browser)
    for path, page in pages.items():
        check(path, page)
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
        if answer.status_code == 200:
            assert "td" not in {tag for tag, _ in Html(answer.text).elements}, path
