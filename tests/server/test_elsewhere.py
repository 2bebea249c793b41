"""Requests that wait for servers elsewhere: slow ones keep nobody from the store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pytest_kaizen.server.problem import Refusal
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.server.state import Elsewhere
from pytest_kaizen.server.ui import PAGES
from tests.pipeline.integrations.place import Asked, Said
from tests.pipeline.integrations.places import BraintrustPlace, MlflowPlace
from tests.server.conftest import MakeSite, Site

#: For what a server does at once, however busy its machine is.
PATIENCE_S = 120


class SlowMlflow(MlflowPlace):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()

    def answer(self, asked: Asked) -> Said:
        self.reached.set()
        self.released.wait(PATIENCE_S)
        return super().answer(asked)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(allow_private_hosts=True)


@pytest.fixture
def slow() -> Iterator[SlowMlflow]:
    with SlowMlflow() as place:
        try:
            yield place
        finally:
            place.released.set()


@pytest.mark.asyncio
async def test_a_slow_server_elsewhere_keeps_nobody_from_reading(site: Site, slow: SlowMlflow) -> None:
    async with site.client("both") as client:
        body = {"trackingUri": slow.url}
        assert (await client.put("/api/integrations/mlflow", json=body)).status_code == 200
        asking = [asyncio.ensure_future(client.post("/api/integrations/mlflow/test")) for _ in range(50)]
        try:
            assert await asyncio.to_thread(slow.reached.wait, PATIENCE_S)
            read = await asyncio.wait_for(client.get("/api/integrations"), PATIENCE_S)
            assert read.json()["mlflow"] == body
        finally:
            slow.released.set()
            answers = await asyncio.gather(*asking)
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [429] * 42
    assert {answer.json()["connected"] for answer in answers if answer.status_code == 200} == {True}
    for refused in (answer for answer in answers if answer.status_code == 429):
        assert refused.headers["retry-after"] == "5"
        assert refused.json()["detail"] == (
            "8 requests of this workspace wait for servers elsewhere; send it again"
        )


@pytest.mark.asyncio
async def test_an_experiment_is_shown_while_braintrust_is_slow(site: Site) -> None:
    """What is not here is left out where too many requests wait already."""
    with BraintrustPlace() as place:
        async with site.client("both") as client:
            body = {"apiUrl": place.url, "apiKey": "sk-0123456789", "projectName": "support"}
            assert (await client.put("/api/integrations/braintrust", json=body)).status_code == 200
            asked = {"name": "e", "correlationIds": ["run-1"]}
            made = (await client.post("/api/experiments", json=asked)).json()["id"]

            async def found() -> int:
                return len((await client.get(f"/api/experiments/{made}")).json()["traces"])

            assert await found() == 1
            released = threading.Event()
            ours = site.book.open("ours").id
            filled = [asyncio.ensure_future(fill(site.state.elsewhere, ours, released)) for _ in range(8)]
            await asyncio.sleep(0)
            try:
                assert await found() == 0
                assert (await client.get("/api/braintrust/traces")).status_code == 429
                assert (await client.post("/api/v1/jobs/x/create-pr")).status_code == 429
            finally:
                released.set()
                await asyncio.gather(*filled)
            assert await found() == 1


async def fill(elsewhere: Elsewhere, workspace: str, released: threading.Event) -> bool:
    return await elsewhere.run(workspace, lambda: released.wait(PATIENCE_S))


@pytest.mark.asyncio
async def test_how_many_wait_at_one_time() -> None:
    elsewhere, released = Elsewhere(most=3, each=2), threading.Event()
    waiting = [asyncio.ensure_future(fill(elsewhere, name, released)) for name in "aab"]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match=r"^2 requests of this workspace wait for servers elsewhere") as own:
        await fill(elsewhere, "a", released)
    with pytest.raises(Refusal, match=r"^too many requests wait for servers elsewhere") as all_of_them:
        await fill(elsewhere, "c", released)
    assert [(exc.value.status, exc.value.headers) for exc in (own, all_of_them)] == [
        (429, {"Retry-After": "5"}),
        (503, {"Retry-After": "5"}),
    ]
    released.set()
    assert await asyncio.gather(*waiting) == [True, True, True]

    def fails() -> None:
        raise ValueError("fails")

    # What fails waits no more, either.
    for _ in range(3):
        with pytest.raises(ValueError, match="fails"):
            await elsewhere.run("a", fails)
    assert await fill(elsewhere, "c", released)


def test_which_operations_and_pages_ask_servers_elsewhere() -> None:
    asking = [operation.name for operation in (*OPERATIONS, *PAGES) if operation.asks]
    assert sorted(asking) == [
        "GET /api/braintrust/traces",
        "GET /api/braintrust/traces/{trace_id}",
        "GET /api/integrations/{integration}/projects",
        "POST /api/integrations/{integration}/test",
        "POST /api/v1/jobs/{job_id}/create-pr",
        "POST /api/v1/jobs/{job_id}/retry-pr",
        "POST /ui/integrations/{name}/test",
    ]
    assert all({429, 503} <= set(operation.statuses) for operation in OPERATIONS if operation.asks)
