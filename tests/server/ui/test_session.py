"""Signing in, what a session allows, and its end."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_kaizen.server.ui import site
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio


async def test_a_stranger_is_asked_for_a_key_and_comes_back(browser: Browser) -> None:
    asked = await browser.get("/ui/traces?task=a%20b")
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/ui/sign-in?next=%2Fui%2Ftraces%3Ftask%3Da%2520b",
    )
    page = await browser.page(asked.headers["location"])
    answer = await browser.send(
        "/ui/sign-in", page.token, key=browser.site.book.keys["reads"], next="/ui/traces?task=a%20b"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/traces?task=a%20b")
    shown = await browser.page("/ui/traces?task=a%20b")
    assert "reads in ours" in shown.text


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "/ui/\\evil.example",
    "/ui/\r\nSet-Cookie: a=b",
    "/elsewhere",
]


async def test_no_sign_in_leads_elsewhere(browser: Browser) -> None:
    for to in ELSEWHERE:
        page = await browser.page("/ui/sign-in")
        answer = await browser.send("/ui/sign-in", page.token, key=browser.site.book.keys["reads"], next=to)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")


NO_KEYS = [
    ("unknown", "the key is not known here"),
    ("late", "the key has expired"),
    ("gone", "the key was revoked"),
]


async def test_a_key_that_opens_nothing(browser: Browser) -> None:
    for key, why in NO_KEYS:
        answer = await browser.sign_in(key)
        assert answer.status_code == 403
        assert why in Html(answer.text).text
        assert site._SESSION not in browser.client.cookies
        assert browser.site.book.keys.get(key, key) not in answer.text


@pytest.mark.parametrize(
    ("base_url", "name", "flags"),
    [
        ("http://127.0.0.1:8000", "kaizen_session", "Path=/; HttpOnly; SameSite=Lax"),
        ("https://kaizen.example", "__Host-kaizen_session", "Path=/; HttpOnly; SameSite=Lax; Secure"),
    ],
)
async def test_the_cookie(site: Site, base_url: str, name: str, flags: str) -> None:
    answer = await Browser(site, base_url).sign_in("reads")
    (cookie,) = (line for line in answer.headers.get_list("set-cookie") if name in line.partition("=")[0])
    value, _, rest = cookie.partition("; ")
    assert rest == flags
    assert len(value.removeprefix(f"{name}=")) == 43


async def test_the_store_has_the_session_as_a_hash_alone(browser: Browser, tmp_path: Path) -> None:
    await browser.sign_in("reads")
    secret = browser.client.cookies["kaizen_session"]
    with sqlite3.connect(tmp_path / "store" / "central.db") as database:
        rows = database.execute("SELECT * FROM sessions").fetchall()
    assert len(rows) == 1
    assert secret not in str(rows)


async def test_signing_in_again_makes_another_session(browser: Browser) -> None:
    await browser.sign_in("reads")
    first = browser.client.cookies["kaizen_session"]
    await browser.sign_in("reads")
    assert browser.client.cookies["kaizen_session"] != first


async def test_signing_out_ends_the_session_itself(browser: Browser) -> None:
    await browser.sign_in("reads")
    secret = browser.client.cookies["kaizen_session"]
    page = await browser.page("/ui/runs")
    answer = await browser.send("/ui/sign-out", page.token)
    assert answer.headers["location"] == "/ui/sign-in"
    assert "kaizen_session" not in browser.client.cookies
    browser.client.cookies["kaizen_session"] = secret
    assert (await browser.get("/ui/runs")).status_code == 303


async def test_revoking_the_key_ends_the_session(browser: Browser) -> None:
    await browser.sign_in("reads")
    await browser.page("/ui/runs")
    keys = browser.site.book.workspaces.central.keys
    (key,) = (known for known in keys.list() if known.label == "reads")
    keys.revoke(key.id)
    browser.site.state.grants.forget()
    assert (await browser.get("/ui/runs")).status_code == 303


async def test_a_session_ends_by_itself(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "LASTS", timedelta(seconds=-1))
    await browser.sign_in("reads")
    assert (await browser.get("/ui/runs")).status_code == 303


async def test_a_session_does_not_outlive_its_key(browser: Browser) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    browser.site.book.add("short", "ours", "read", expires_at=soon)
    await browser.sign_in("short")
    secret = browser.client.cookies["kaizen_session"]
    sessions = browser.site.book.workspaces.central.sessions
    assert sessions.find(secret, soon - timedelta(seconds=1)) is not None
    assert sessions.find(secret, soon) is None


async def test_a_session_is_no_key_and_a_key_no_session(browser: Browser) -> None:
    await browser.sign_in("all")
    await browser.page("/ui/runs")
    headers = {"X-API-Key": browser.client.cookies["kaizen_session"]}
    assert (await browser.client.get("/api/traces", headers=headers)).status_code == 401
    assert (await browser.client.get("/api/traces")).status_code == 401
    browser.client.cookies["kaizen_session"] = browser.site.book.keys["all"]
    assert (await browser.get("/ui/runs")).status_code == 303


async def test_cookies_of_other_programs_are_in_nobodys_way(browser: Browser) -> None:
    await browser.sign_in("reads")
    secret = browser.client.cookies["kaizen_session"]
    headers = {"Cookie": f'theirs={{"a": "b, c"}}; =; kaizen_session={secret}; x y=1'}
    browser.client.cookies.clear()
    assert (await browser.client.get("/ui/runs", headers=headers)).status_code == 200


async def test_a_form_needs_the_token_of_its_browser(browser: Browser) -> None:
    await browser.sign_in("reads")
    other = Browser(browser.site)
    await other.sign_in("reads")
    token = (await other.page("/ui/runs")).token
    for wrong in ("", "x", token, "\N{SNOWMAN}"):
        answer = await browser.send("/ui/sign-out", wrong)
        assert answer.status_code == 403, wrong
        assert "this form is too old, or was not ours" in Html(answer.text).text
    assert (await browser.get("/ui/runs")).status_code == 200


async def test_a_form_of_another_site_is_refused(browser: Browser) -> None:
    await browser.sign_in("reads")
    token = (await browser.page("/ui/runs")).token
    answer = await browser.client.post(
        "/ui/sign-out", data={"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    as_json = await browser.client.post("/ui/sign-out", json={"csrf": token})
    assert as_json.status_code == 422
    assert (await browser.get("/ui/runs")).status_code == 200
