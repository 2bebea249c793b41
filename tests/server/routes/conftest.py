"""The two ways to a server: in this process and over a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from tests.server.conftest import Live, Site


class Way(NamedTuple):
    """Where a client finds the server, and how its requests travel."""

    url: str
    transport: httpx.AsyncBaseTransport | None


@pytest.fixture(params=["in process", "over a socket"])
def way(site: Site, request: pytest.FixtureRequest) -> Iterator[Way]:
    if request.param == "in process":
        yield Way("http://127.0.0.1:8000", httpx.ASGITransport(app=site.app, raise_app_exceptions=False))
        return
    with Live(site.app) as live:
        yield Way(live.url, None)
