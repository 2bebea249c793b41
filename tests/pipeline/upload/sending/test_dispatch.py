"""Several backends at their own pace; the end comes when it is told to."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.pipeline.upload import Shipment
from pytest_kaizen.pipeline.upload.dispatch import Dispatch, new_loop
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.pipeline.upload.sending.conftest import Told


def run(dispatch: Dispatch) -> None:
    """Run to the end."""

    async def main() -> None:
        dispatch.closing.set()
        await dispatch.run()

    asyncio.run(main())


def test_everything_that_is_owed_is_sent_and_connections_are_closed(told: Told, owing: Store) -> None:
    dispatch = Dispatch(owing, [told], print, longest_pause_s=10)
    run(dispatch)
    assert dispatch.couriers["otlp"].sent == 4
    assert told.closed
    assert not dispatch.elsewhere


def test_what_comes_while_it_runs_is_sent_too(
    told: Told, owing: Store, add_run: Callable[[str, int], None]
) -> None:
    async def main() -> None:
        dispatch = Dispatch(owing, [told], print, longest_pause_s=10)
        arrived = asyncio.Event()

        def note(shipment: Shipment) -> None:
            if shipment.run.id == "run-1":
                asyncio.get_running_loop().call_later(0.1, add_run, "run-2", 2)
                told.does = note_last

        def note_last(shipment: Shipment) -> None:
            if shipment.run.id == "run-2":
                arrived.set()

        told.does = note
        task = asyncio.create_task(dispatch.run())
        await arrived.wait()
        dispatch.closing.set()
        await task

    asyncio.run(main())
    assert [parcel.run.id for parcel in told.got] == ["run-1"] * 4 + ["run-2"] * 2


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("cannot connect", transient=True),
        PlatformError("slow down", 429, transient=True, retry_after=60),
        PlatformError("401", 401),
    ],
)
def test_what_is_of_no_use_soon_is_not_waited_for(told: Told, owing: Store, error: PlatformError) -> None:
    def fail(_: Shipment) -> None:
        raise error

    told.does = fail
    run(Dispatch(owing, [told], print, longest_pause_s=10))
    assert len(told.batches) == 1


def test_a_short_pause_is_waited_for(told: Told, owing: Store) -> None:
    def once(_: Shipment) -> None:
        if len(told.batches) == 1:
            raise PlatformError("slow down", 429, transient=True, retry_after=0.05)

    told.does = once
    run(Dispatch(owing, [told], print, longest_pause_s=10))
    assert len(told.got) == 4


def test_a_mistake_with_one_backend_leaves_the_others(told: Told, owing: Store) -> None:
    class Broken:
        name = "kate"

        @property
        def max_batch(self) -> int:
            raise RuntimeError("not thought of")

        async def aclose(self) -> None:
            return

    dispatch = Dispatch(owing, [Broken(), told], print, longest_pause_s=10)  # type: ignore[list-item]
    run(dispatch)
    assert dispatch.couriers["kate"].stopped == "RuntimeError: not thought of"
    assert len(told.got) == 4


def test_while_another_process_sends_this_one_does_not(told: Told, owing: Store) -> None:
    dispatch = Dispatch(owing, [told], print, longest_pause_s=10)
    with owing.outbox.sending():
        run(dispatch)
    assert dispatch.elsewhere
    assert told.batches == []
    assert told.closed


def test_a_lookup_of_a_name_keeps_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of the usual executor are waited for when the process ends."""
    hanging, asked = threading.Event(), threading.Event()
    seen: list[threading.Thread] = []

    def lookup(*_: object, **__: object) -> list[object]:
        seen.append(threading.current_thread())
        asked.set()
        hanging.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with asyncio.Runner(loop_factory=new_loop) as runner:

        async def ask() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.get_running_loop().getaddrinfo("a.test", 80)

        runner.run(ask())
    assert asked.wait(30)
    assert seen[0].daemon
    assert seen[0].is_alive()
    hanging.set()
