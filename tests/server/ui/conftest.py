"""Browsers: one without scripts, in this process, and a real one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from tests.server.conftest import Site

_CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no chromium on PATH")
#: A loaded machine may take long.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
_VOID = {"meta", "link", "input", "br", "rect"}


class Html(HTMLParser):
    """A page: its elements with their attributes, its texts, and whether its elements end as they begin."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"these do not end: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def links(self) -> list[str]:
        return [link["href"] for link in self.all("a")]

    @property
    def token(self) -> str:
        return next(field["value"] for field in self.all("input") if field.get("name") == "csrf")


class Browser:
    """Sends what a browser without scripts sends. It follows no redirect."""

    def __init__(self, site: Site, base_url: str = "http://127.0.0.1:8000") -> None:
        self.site = site
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=site.app, raise_app_exceptions=False), base_url=base_url
        )

    async def sign_in(self, key: str) -> httpx.Response:
        page = Html((await self.get("/ui/sign-in")).text)
        return await self.send("/ui/sign-in", page.token, key=self.site.book.keys.get(key, key))

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def page(self, path: str, status: int = 200) -> Html:
        answer = await self.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-2000:])
        return Html(answer.text)

    async def send(self, path: str, token: str | None = None, **fields: str) -> httpx.Response:
        if token is None:
            token = Html((await self.get("/ui/sign-in")).text).token
        return await self.client.post(path, data={"csrf": token, **fields})


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    # Not for the session: while it is there, no test of a module may have an event loop of its own.
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )


def note(shown: list[str], said: ConsoleMessage) -> None:
    # Advice is no error.
    if said.type not in ("verbose", "debug"):
        shown.append(f"{said.type}: {said.text}")


def keep(page: Page, tmp_path: Path, name: str) -> None:
    """Keep a picture of a page: where KAIZEN_SCREENSHOTS says, else with the test's files."""
    folder = Path(os.environ.get("KAIZEN_SCREENSHOTS") or tmp_path)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
