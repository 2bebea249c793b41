"""What one backend is owed, batch by batch, and what follows on each kind of failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.pipeline.upload import Shipment
from pytest_kaizen.pipeline.upload.dispatch import Courier
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.pipeline.upload.sending.conftest import Told

pytestmark = pytest.mark.asyncio


def courier(told: Told, store: Store) -> Courier:
    return Courier(told, store.outbox, print, patient=False)


def fails(error: Exception, key: str | None = None) -> Callable[[Shipment], None]:
    """Fail if a parcel is among those that are sent; at anything without a key."""

    def do(shipment: Shipment) -> None:
        if key is None or key in [parcel.key for parcel in shipment.parcels]:
            raise error

    return do


async def test_batches_in_order(told: Told, owing: Store, add_run: Callable[[str, int], None]) -> None:
    add_run("run-2", 2)
    sender = courier(told, owing)
    assert [await sender.step() for _ in range(4)] == [True, True, True, False]
    assert told.batches == [
        ["run-1.0", "run-1.1", "run-1.2"],
        ["run-1.3"],
        ["run-2.0", "run-2.1"],
    ]
    assert sender.sent == 6
    state = owing.outbox.state("otlp")
    assert (state.owed, state.acknowledged, state.reason) == (0, 6, None)
    assert all(parcel.sample and parcel.sample.trace.id == parcel.key for parcel in told.got)


async def test_a_server_that_is_not_there_is_left_alone_for_longer_and_longer(
    told: Told, owing: Store
) -> None:
    told.does = fails(PlatformError("cannot connect", transient=True))
    pauses = []
    for _ in range(12):
        sender = courier(told, owing)
        await sender.step()
        assert sender.unreachable
        pauses.append(sender.pause_s)
    assert 0.9 < pauses[0] <= 2
    assert 3.9 < pauses[2] <= 8
    assert 440 < pauses[-1] <= 900
    state = owing.outbox.state("otlp")
    assert (state.owed, state.failures, state.reason) == (4, 12, "cannot connect")
    assert [row.attempts for row in owing.outbox.batch("otlp", 9)] == [0, 0, 0, 0]


async def test_the_pause_counts_in_the_next_session_and_ends_with_success(told: Told, owing: Store) -> None:
    told.does = fails(PlatformError("cannot connect", transient=True))
    await courier(told, owing).step()
    later = Courier(told, owing.outbox, print)
    assert (later.pause_s > 0.5, later.unreachable) == (True, True)
    told.does = lambda _: None
    await later.step()
    assert (later.pause_s, later.unreachable) == (0, False)
    assert owing.outbox.state("otlp").failures == 0


async def test_the_server_says_how_long_to_wait(told: Told, owing: Store) -> None:
    told.does = fails(PlatformError("slow down", 429, transient=True, retry_after=120))
    sender = courier(told, owing)
    await sender.step()
    assert 115 < sender.pause_s <= 132
    assert not sender.unreachable
    told.does = fails(PlatformError("slow down", 429, transient=True, retry_after=1e9))
    await sender.step()
    assert sender.pause_s <= 900


async def test_a_refused_parcel_is_set_aside_and_the_others_arrive(told: Told, owing: Store) -> None:
    told.does = fails(PlatformError("422: not this one", 422), "run-1.1")
    sender = courier(told, owing)
    while await sender.step():
        pass
    assert told.batches == [
        ["run-1.0", "run-1.1", "run-1.2"],
        ["run-1.0"],
        ["run-1.1"],
        ["run-1.2"],
        ["run-1.3"],
    ]
    state = owing.outbox.state("otlp")
    assert (state.owed, state.acknowledged, state.set_aside) == (0, 3, 1)
    assert state.refused == ("422: not this one",)
    assert [parcel.key for parcel in told.got] == ["run-1.0", "run-1.2", "run-1.3"]


async def test_what_is_done_before_a_failure_is_not_sent_again(told: Told, owing: Store) -> None:
    def half(shipment: Shipment) -> None:
        if len(told.batches) == 1:
            shipment.done(shipment.parcels[0])
            shipment.remote["run"] = "K1"
            raise PlatformError("503", 503, transient=True)
        assert shipment.remote == {"run": "K1"}

    told.does = half
    sender = courier(told, owing)
    await sender.step()
    assert sender.sent == 1
    await courier(told, owing).step()
    assert told.batches[1] == ["run-1.1", "run-1.2", "run-1.3"]
    assert owing.outbox.remote("otlp", "run-1") == {"run": "K1"}


async def test_a_wrong_key_stops_the_backend_for_this_session_alone(told: Told, owing: Store) -> None:
    told.does = fails(PlatformError("401: who are you", 401))
    sender = courier(told, owing)
    await sender.step()
    assert sender.stopped == "401: who are you"
    state = owing.outbox.state("otlp")
    assert (state.owed, state.set_aside, state.failures) == (4, 0, 0)
    assert Courier(told, owing.outbox, print).pause_s == 0


@pytest.mark.parametrize(
    "error", [PlatformError("500: broken", 500, transient=True), ValueError("a mistake of ours")]
)
async def test_a_parcel_that_breaks_the_server_goes_alone_and_is_set_aside(
    told: Told, owing: Store, error: Exception
) -> None:
    told.does = fails(error, "run-1.1")
    for _ in range(30):
        if not await courier(told, owing).step():
            break
    assert [len(batch) for batch in told.batches[:4]] == [3, 3, 3, 1]
    state = owing.outbox.state("otlp")
    assert (state.owed, state.acknowledged, state.set_aside) == (0, 3, 1)
    assert state.refused[0].startswith("6 attempts failed: ")
    assert str(error) in state.refused[0]


async def test_a_server_that_is_down_for_long_sets_nothing_aside(told: Told, owing: Store) -> None:
    told.does = fails(PlatformError("503: down", 503, transient=True))
    for _ in range(30):
        await courier(told, owing).step()
    state = owing.outbox.state("otlp")
    assert (state.owed, state.set_aside) == (4, 0)


async def test_what_is_cut_off_is_owed_and_counts_as_a_failure(told: Told, owing: Store) -> None:
    began = asyncio.Event()

    async def hang(shipment: Shipment) -> None:
        shipment.done(shipment.parcels[0])
        began.set()
        await asyncio.sleep(60)

    told.send = hang  # type: ignore[method-assign]
    task = asyncio.create_task(courier(told, owing).step())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = owing.outbox.state("otlp")
    assert (state.owed, state.acknowledged, state.failures) == (3, 1, 1)
    assert state.reason == "no whole answer in the time that there was"
    assert state.next_at is not None
    assert state.next_at > datetime.now(UTC) - timedelta(seconds=60)


async def test_what_is_no_longer_in_the_store_is_set_aside(told: Told, owing: Store) -> None:
    with owing._database.write() as connection:
        connection.execute("DELETE FROM traces WHERE id = 'run-1.0'")
    await courier(told, owing).step()
    assert told.batches == [["run-1.1", "run-1.2"]]
    assert owing.outbox.state("otlp").refused == ("what it is about is no longer in the store",)
