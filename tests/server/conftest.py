"""A server in this process, with keys that are known beforehand."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Self

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from pytest_kaizen.config import Config, ServerConfig
from pytest_kaizen.errors import StoreError
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.server.app import create_app
from pytest_kaizen.server.operation import Operation
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.store import Store, sealed
from pytest_kaizen.store.central import Scope
from pytest_kaizen.store.workspaces import OpenWorkspace, Workspaces

HERE = "127.0.0.1"
NOWHERE = "http://127.0.0.1:9"
ELSEWHERE = "203.0.113.5"


class Book:
    """The keys and stores of a server, by names that tests know.

    Attributes:
        keys: The secrets by name.
    """

    def __init__(self, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workspaces = workspaces
        self.keys: dict[str, str] = {}
        self._monkeypatch = monkeypatch

    def add(self, name: str, workspace: str, *scopes: str, expires_at: datetime | None = None) -> str:
        """Make a key, and its workspace if it is new; return its id."""
        central = self.workspaces.central
        place = central.workspace(workspace) or central.create_workspace(workspace)
        key, secret = central.keys.create(
            place.id, label=name, scopes=[Scope(scope) for scope in scopes], expires_at=expires_at
        )
        self.keys[name] = secret
        return key.id

    def open(self, workspace: str) -> OpenWorkspace:
        place = self.workspaces.central.workspace(workspace)
        assert place is not None
        return self.workspaces.get(place.id)

    def store(self, workspace: str) -> Store:
        return self.open(workspace).store

    def break_off(self) -> None:
        """From now on nothing can be read or written."""

        def fails(*_args: object, **_more: object) -> NoReturn:
            raise StoreError("secret path", path="/secret/place")

        self._monkeypatch.setattr(self.workspaces.central.keys, "find", fails)
        self._monkeypatch.setattr(self.workspaces.central, "workspaces", fails)


class Live:
    """An application behind a socket, in a thread."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,
            http="httptools",
            log_config=None,
            loop="uvloop",
            server_header=False,
            # A connection that a bug leaves open fails a test and does not keep it from ending.
            timeout_graceful_shutdown=60,
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

    def __init__(
        self, book: Book, settings: ServerConfig, operations: Iterable[Operation], **more: Any
    ) -> None:
        self.book = book
        config = Config(**{"root": Path(), "store": Path("unused.db"), "server": settings, **more})
        self.app = create_app(config, book.workspaces, operations)
        self.state = self.app.state

    def client(self, key: str | None = None, *, at: str = HERE) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, client=(at, 1), raise_app_exceptions=False),
            base_url="http://127.0.0.1:8000",
            headers={"X-API-Key": self.book.keys.get(key, key)} if key else {},
        )

    def work_off(self) -> None:
        """Do the jobs of our workspace, as the worker would."""
        self.state.worker.work_off(self.book.open("ours"))


MakeSite = Callable[..., Site]


@pytest.fixture
def home() -> str:
    """Where the store lies; a file of tests for both homes overrides it."""
    return "sqlite"


@pytest.fixture
def place(home: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path | str:
    if home == "sqlite":
        return tmp_path / "store"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def book(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    if isinstance(place, str):
        monkeypatch.setenv(sealed.KEY_VARIABLE, base64.b64encode(bytes(32)).decode())
    workspaces = Workspaces.open(place)
    made = Book(workspaces, monkeypatch)
    made.add("reads", "ours", "read")
    made.add("writes", "ours", "write")
    made.add("both", "ours", "read", "write")
    made.add("rules", "ours", "admin")
    made.add("all", "ours", "read", "write", "admin")
    made.add("stranger", "theirs", "read", "write", "admin")
    made.add("late", "ours", "read", "write", "admin", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    workspaces.central.keys.revoke(made.add("gone", "ours", "read", "write", "admin"))
    yield made
    workspaces.close()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """The model that jobs ask."""
    with ScriptedLLM() as scripted:
        for name, value in scripted.environ.items():
            monkeypatch.setenv(name, value)
        yield scripted


@pytest.fixture
def make_site(book: Book) -> MakeSite:
    def make(*operations: Operation, config: dict[str, Any] | None = None, **settings: object) -> Site:
        # No test asks a provider.
        settings = {"anthropic_url": NOWHERE, "openai_url": NOWHERE, **settings}
        return Site(book, ServerConfig.model_validate(settings), operations or OPERATIONS, **config or {})

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
