"""A server in this process, with keys that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from pytest_kaizen.config import ServerConfig
from pytest_kaizen.errors import StoreError
from pytest_kaizen.server.app import App
from pytest_kaizen.server.grant import Grant, KeyRefusedError
from pytest_kaizen.server.limits import RateLimit
from pytest_kaizen.server.metrics import Metrics
from pytest_kaizen.server.operation import Operation
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.server.state import State
from pytest_kaizen.store import Store

HERE = "127.0.0.1"
ELSEWHERE = "203.0.113.5"


class Book:
    """Keys in a dictionary, and a SQLite file for each workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: dict[str, Grant] = {}
        self.refused: dict[str, str] = {}
        self.broken = False
        self._stores: dict[str, Store] = {}

    def add(self, key: str, workspace: str, *scopes: str) -> None:
        self.keys[key] = Grant(f"id of {key}", workspace, frozenset(scopes))

    def check(self, key: str) -> Grant:
        if self.broken:
            raise StoreError("secret path", path="/secret/place")
        if key in self.refused:
            raise KeyRefusedError(self.refused[key])
        if key not in self.keys:
            raise KeyRefusedError("the key is not known here")
        return self.keys[key]

    def store(self, workspace: str) -> Store:
        if workspace not in self._stores:
            self._stores[workspace] = Store.open(self.folder / f"{workspace}.db")
        return self._stores[workspace]

    def probe(self) -> None:
        if self.broken:
            raise StoreError("secret path", path="/secret/place")

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


class Site:
    """A server, and clients that ask it without a socket."""

    def __init__(self, book: Book, settings: ServerConfig, operations: Iterable[Operation]) -> None:
        self.book = book
        self.state = State(settings, book, RateLimit(settings.requests_per_s), Metrics())
        self.app = App(self.state, operations)

    def client(self, key: str | None = None, *, at: str = HERE) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, client=(at, 1), raise_app_exceptions=False),
            base_url="http://127.0.0.1:8000",
            headers={"X-API-Key": key} if key else {},
        )


MakeSite = Callable[..., Site]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    made.add("reads", "ours", "read")
    made.add("writes", "ours", "write")
    made.add("both", "ours", "read", "write")
    made.add("rules", "ours", "admin")
    made.add("stranger", "theirs", "admin")
    made.refused |= {"late": "the key has expired", "gone": "the key was revoked"}
    yield made
    made.close()


@pytest.fixture
def make_site(book: Book) -> MakeSite:
    def make(*operations: Operation, **settings: object) -> Site:
        return Site(book, ServerConfig.model_validate(settings), operations or OPERATIONS)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
