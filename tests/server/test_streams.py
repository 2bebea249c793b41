from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_kaizen.server.problem import Refusal
from pytest_kaizen.server.streams import Streams


def test_so_many_of_a_key_at_one_time() -> None:
    streams = Streams(most=2)
    with streams.held("a"), streams.held("b"):
        with streams.held("a"), pytest.raises(Refusal, match="has 2 streams open") as caught:
            streams.held("a").__enter__()
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "15"})
        with streams.held("a"):
            pass
    assert not streams._open


@pytest.mark.asyncio
async def test_all_who_wait_share_a_look() -> None:
    streams, seen = Streams(), []

    def look() -> int:
        seen.append(threading.get_ident())
        return len(seen)

    assert await asyncio.gather(*(streams.next("x", look, 0.0) for _ in range(5))) == [1] * 5
    others = await asyncio.gather(*(streams.next(what, look, 0.0) for what in "xy"))
    assert sorted(others) == [2, 3]
    # What blocks is no business of the loop's thread.
    assert threading.get_ident() not in seen
    assert not streams._looks


@pytest.mark.asyncio
async def test_nobody_looks_while_nobody_waits() -> None:
    streams, seen = Streams(), []
    first, second = (asyncio.create_task(streams.next("x", lambda: seen.append(1), 0.05)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert seen == [1]
    alone = asyncio.create_task(streams.next("x", lambda: seen.append(2), 0.0))
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.wait([alone])
    await asyncio.sleep(0.02)
    assert seen == [1]
    assert not streams._looks


@pytest.mark.asyncio
async def test_who_comes_during_a_look_has_the_next() -> None:
    streams, go, began = Streams(), threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        go.wait()
        return "first"

    early = asyncio.create_task(streams.next("x", slow, 0.0))
    await asyncio.to_thread(began.wait)
    late = asyncio.create_task(streams.next("x", lambda: "second", 0.0))
    assert await late == "second"
    go.set()
    assert await early == "first"


@pytest.mark.asyncio
async def test_what_goes_wrong_is_told_to_all() -> None:
    streams = Streams()

    def look() -> None:
        raise OSError("gone")

    told = await asyncio.gather(*(streams.next("x", look, 0.0) for _ in range(2)), return_exceptions=True)
    assert [str(each) for each in told] == ["gone", "gone"]
