"""Every page, with every session that there may be, and every value in it hostile."""

from __future__ import annotations

import re

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.server.ui import PAGES
from pytest_kaizen.server.ui.page import Page
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio

#: Who may see what. A new page must be written down here too.
RULES = {
    "GET /ui": "anyone",
    "GET /ui/static/{name}": "anyone",
    "GET /ui/sign-in": "anyone",
    "POST /ui/sign-in": "anyone",
    "POST /ui/sign-out": "anyone",
    "GET /ui/runs": "read",
    "GET /ui/runs/{run_id}": "read",
    "GET /ui/runs/{run_id}/tasks/{task}": "read",
    "GET /ui/runs/{run_id}/case": "read",
    "GET /ui/traces": "read",
    "GET /ui/traces/{trace_id}": "read",
    "GET /ui/traces/{trace_id}/spans/{number}": "read",
    "GET /ui/search": "read",
    "GET /ui/prompts": "read",
    "GET /ui/prompts/{task}": "read",
    "GET /ui/prompts/{task}/{number}": "read",
    "GET /ui/prompts/{task}/optimize": "read",
    "POST /ui/prompts/{task}/optimize": "write",
    "POST /ui/prompts/{task}/{number}/activate": "write",
    "POST /ui/prompts/{task}/from-insights": "write",
    "GET /ui/insights": "read",
    "POST /ui/insights": "write",
    "POST /ui/insights/{insight_id}": "write",
    "GET /ui/proposals": "read",
    "GET /ui/proposals/{proposal_id}": "read",
    "GET /ui/jobs": "read",
    "GET /ui/jobs/events": "read",
    "GET /ui/jobs/{job_id}": "read",
    "POST /ui/jobs/{job_id}/stop": "write",
    "GET /ui/experiments": "read",
    "POST /ui/experiments": "write",
    "GET /ui/experiments/compare": "read",
    "GET /ui/experiments/{experiment_id}": "read",
    "POST /ui/experiments/{experiment_id}/analysis": "write",
    "GET /ui/behaviors": "read",
    "POST /ui/behaviors": "write",
    "POST /ui/behaviors/detect": "write",
    "GET /ui/behaviors/{label}": "read",
    "POST /ui/traces/{trace_id}/annotations": "write",
    "POST /ui/traces/{trace_id}/detect": "write",
    "GET /ui/agents": "read",
    "GET /ui/agents/{agent_id}": "read",
    "GET /ui/integrations": "read",
    "POST /ui/integrations/{name}": "write",
    "POST /ui/integrations/{name}/test": "write",
    "POST /ui/integrations/{name}/import": "write",
    "POST /ui/integrations/{name}/forget": "write",
    "GET /ui/keys": "admin",
    "POST /ui/keys": "admin",
    "POST /ui/keys/{key_id}/revoke": "admin",
}
#: What each key may do besides what anyone may.
KEYS = {"reads": "read", "writes": "write", "rules": "admin"}


def path_of(page: Page) -> str:
    return re.sub(r"\{\w+\}", "nothing", page.path)


async def ask(browser: Browser, page: Page) -> tuple[int, str]:
    if page.method == "GET":
        answer = await browser.get(path_of(page))
    else:
        answer = await browser.send(path_of(page))
    return answer.status_code, answer.headers.get("location", "")


async def test_every_page_with_every_session(site: Site) -> None:
    # What goes on until the server stops ends at once.
    site.state.stopping.set()
    stranger = Browser(site)
    browsers = {key: Browser(site) for key in KEYS}
    for key, browser in browsers.items():
        await browser.sign_in(key)
    for page in PAGES:
        assert page.name in RULES, f"{page.name} has no rule: say in RULES who may see it"
        rule = RULES[page.name]
        status, location = await ask(stranger, page)
        if rule == "anyone":
            assert not location.startswith("/ui/sign-in?"), page.name
            continue
        assert (status, location.partition("?")[0]) == (303, "/ui/sign-in"), page.name
        for key, scope in KEYS.items():
            status, location = await ask(browsers[key], page)
            if rule == scope:
                # It is let in: what it asks for may not be there.
                assert status in {*page.statuses, 303}, (page.name, key, status)
                assert not location.startswith("/ui/sign-in"), (page.name, key)
            else:
                assert status == 403, (page.name, key)


async def test_no_rule_is_left_over() -> None:
    assert set(RULES) == {page.name for page in PAGES}


WRONG = [
    ("/ui/nowhere", 404, "Not Found there is nothing at this path"),
    ("/ui/runs/none", 404, "there is no run 'none'"),
    ("/ui/sign-out", 405, "this path takes POST"),
    ("/ui/runs?limit=0", 422, "query.limit: Input should be greater than or equal to 1"),
    ("/ui/traces?after=x", 422, "query.after: String should match pattern"),
    ("/ui/runs?limit=%ff%00", 422, "query.limit: Input should be a valid integer"),
    ("/ui/search?" + "&".join(["a=b"] * 2000), 422, "these fields cannot be read"),
]


async def test_what_goes_wrong_is_a_page(browser: Browser) -> None:
    await browser.sign_in("reads")
    for path, status, text in WRONG:
        page = await browser.page(path, status)
        assert text in page.text
        assert "Sign out" in page.text


async def test_a_store_that_fails_is_a_page_that_names_no_file(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in("reads")
    browser.site.state.grants.forget()
    monkeypatch.setattr(browser.site.book.workspaces.central.sessions, "find", _fails)
    answer = await browser.get("/ui/runs/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "the store cannot be used; try again later" in Html(answer.text).text
    assert "secret" not in answer.text


def _fails(*_given: object) -> None:
    raise StoreError("secret", path="/secret/place")


async def test_no_page_may_be_kept_framed_or_scripted(browser: Browser) -> None:
    for path in ("/ui/sign-in", "/ui/nowhere"):
        headers = (await browser.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in headers["content-security-policy"]


async def test_static_files_are_kept_under_their_mark(browser: Browser) -> None:
    page = await browser.page("/ui/sign-in")
    sheets = [link["href"] for link in page.all("link")]
    assert len(sheets) == 3
    for path in [*sheets, *(script["src"] for script in page.all("script"))]:
        marked = await browser.get(path)
        assert marked.headers["cache-control"] == "public, max-age=31536000, immutable"
        bare = await browser.get(path.partition("?")[0])
        assert bare.headers["cache-control"] == "no-cache"
        assert bare.content == marked.content
    await browser.page("/ui/static/..%2Fpage.py", 404)
