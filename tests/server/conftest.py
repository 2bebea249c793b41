"""A server in this process, with keys that are known beforehand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self, TypeVar

import httpx
import pytest
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from pytest_kaizen.config import Config, ServerConfig
from pytest_kaizen.errors import StoreError
from pytest_kaizen.server.app import create_app
from pytest_kaizen.server.grant import Grant, KeyRefusedError
from pytest_kaizen.server.operation import Operation
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.store import Store

T = TypeVar("T")
HERE = "127.0.0.1"
NOWHERE = "http://127.0.0.1:9"
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

    async def write(self, workspace: str, work: Callable[[Store], T]) -> T:
        if self.broken:
            raise StoreError("secret path", path="/secret/place")
        return await run_in_threadpool(work, self.store(workspace))

    def probe(self) -> None:
        if self.broken:
            raise StoreError("secret path", path="/secret/place")

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


class Live:
    """An application behind a socket, in a thread."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app, http="httptools", loop="uvloop", log_config=None, server_header=False, access_log=False
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.should_exit = True
        self._thread.join()


class Site:
    """A server, and clients that ask it without a socket."""

    def __init__(self, book: Book, settings: ServerConfig, operations: Iterable[Operation]) -> None:
        self.book = book
        config = Config(root=book.folder, store=book.folder / "unused.db", server=settings)
        self.app = create_app(config, book, operations)
        self.state = self.app.state

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
        # No test asks a provider.
        settings = {"anthropic_url": NOWHERE, "openai_url": NOWHERE, **settings}
        return Site(book, ServerConfig.model_validate(settings), operations or OPERATIONS)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
