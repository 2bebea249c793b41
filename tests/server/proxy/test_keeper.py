from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.config import Endpoint
from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Trace
from pytest_kaizen.server.proxy import Passage
from pytest_kaizen.server.proxy import keeper as module
from pytest_kaizen.server.proxy.keeper import Keeper, Recording
from pytest_kaizen.server.state import Metrics
from pytest_kaizen.store.workspaces import OpenWorkspace

pytestmark = pytest.mark.asyncio
ENDPOINT = Endpoint(api="anthropic.messages", path="/v1/messages")


class Kept:
    """Takes traces, after as many failures as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.names: list[tuple[str, list[str | None]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, workspace: OpenWorkspace, traces: Sequence[Trace]) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise StoreError("no room")
        self.names.append((workspace.id, [trace.spans[0].model for trace in traces]))


class Named:
    """All that is asked of a workspace here."""

    def __init__(self, name: str) -> None:
        self.id = name


def passage(model: str, workspace: str = "ours", pad: int = 0) -> tuple[OpenWorkspace, Passage]:
    content = b'{"model": "%b", "messages": []}' % model.encode() + b" " * pad
    made = Passage(ENDPOINT, "http://x/v1/messages", "", [], content)
    made.end("Lost: it")
    return cast(OpenWorkspace, Named(workspace)), made


def keeper(kept: Kept) -> tuple[Keeper, Metrics]:
    metrics = Metrics()
    return Keeper(Recording(Redactor({}), lambda _model, _usage: None), kept, metrics), metrics


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)


async def test_all_that_was_added_is_kept_in_its_order() -> None:
    kept = Kept()
    keeps, metrics = keeper(kept)
    for number in range(100):
        keeps.add(*passage(f"m{number}"))
    keeps.add(*passage("other", "theirs"))
    await keeps.close()
    ours = [name for workspace, names in kept.names if workspace == "ours" for name in names]
    assert ours == [f"m{number}" for number in range(100)]
    assert ("theirs", ["other"]) in kept.names
    assert len(kept.names) < 10
    assert b'kaizen_traces_total{way="proxy"} 101.0' in metrics.text()


async def test_a_store_that_comes_back() -> None:
    kept = Kept(failures=4)
    keeps, metrics = keeper(kept)
    keeps.add(*passage("m"))
    await keeps.close()
    assert kept.names == [("ours", ["m"])]
    assert b"kaizen_traces_lost_total 0.0" in metrics.text()


async def test_a_store_that_does_not(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept(failures=5)
    keeps, metrics = keeper(kept)
    keeps.add(*passage("m"))
    with caplog.at_level(logging.ERROR, logger="pytest_kaizen.server"):
        await keeps.close()
    assert kept.names == []
    assert b"kaizen_traces_lost_total 1.0" in metrics.text()
    assert "1 traces of the proxy were lost: no room" in caplog.text


async def test_requests_wait_for_a_store_that_is_behind_and_then_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    monkeypatch.setattr(module, "_LONGEST_WAIT_S", 0.01)
    kept = Kept()
    kept.gate.clear()
    keeps, metrics = keeper(kept)
    assert await keeps.has_room()
    keeps.add(*passage("m", pad=1000))
    assert not await keeps.has_room()
    assert b"kaizen_traces_lost_total 1.0" in metrics.text()
    kept.gate.set()
    await keeps.close()
    assert await keeps.has_room()
