"""The ways to a server: in this process on each home of a store, and over a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import httpx
import pytest

from pytest_kaizen.platforms.client import SyncClient
from tests.server.conftest import Book, Live, Site

C = TypeVar("C", bound=SyncClient)


class Variant(NamedTuple):
    """Where the store lies, and how requests travel."""

    home: str
    socket: bool


#: A socket changes nothing about a home, so one home is asked over it.
VARIANTS = (Variant("sqlite", False), Variant("postgresql", False), Variant("sqlite", True))
#: For a test of what neither home nor socket has a part in.
ONE_VARIANT = pytest.mark.parametrize("variant", VARIANTS[:1], ids=["sqlite in process"], indirect=True)


class Way(NamedTuple):
    """Where a client finds the server, and how its requests travel."""

    url: str
    transport: httpx.AsyncBaseTransport | None


@pytest.fixture(
    params=VARIANTS,
    ids=lambda variant: f"{variant.home} {'over a socket' if variant.socket else 'in process'}",
)
def variant(request: pytest.FixtureRequest) -> Variant:
    given: Variant = request.param
    return given


@pytest.fixture
def home(request: pytest.FixtureRequest) -> str:
    """Where the store lies: as ``way`` says in a test that uses it."""
    if "variant" not in request.fixturenames:
        return "sqlite"
    given: Variant = request.getfixturevalue("variant")
    return given.home


@pytest.fixture
def way(variant: Variant, site: Site) -> Iterator[Way]:
    if not variant.socket:
        yield Way("http://127.0.0.1:8000", httpx.ASGITransport(app=site.app, raise_app_exceptions=False))
        return
    with Live(site.app) as live:
        yield Way(live.url, None)


class Clients:
    """Makes clients of the server by the names of keys."""

    def __init__(self, way: Way, book: Book) -> None:
        self._way = way
        self._book = book
        self._made: list[SyncClient] = []

    def make(self, kind: type[C], key: str, below: str = "") -> C:
        """Make a client; ``below`` is what its base URL has beyond the server's."""
        secret = self._book.keys.get(key, key)
        made: C = kind(secret, f"{self._way.url}{below}", transport=self._way.transport)  # type: ignore[call-arg]
        self._made.append(made)
        return made

    def close(self) -> None:
        for client in self._made:
            client.close()


@pytest.fixture
def clients(way: Way, book: Book) -> Iterator[Clients]:
    made = Clients(way, book)
    yield made
    made.close()
