"""A browser without scripts, signed in with the keys that the server's tests know."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import httpx
import pytest

from tests.server.conftest import Site

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


SignedIn = Callable[[str], object]


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)
