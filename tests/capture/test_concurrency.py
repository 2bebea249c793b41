"""Threads and tasks of a sample belong to it, each call with its own text."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx
import httpx2
import pytest

from pytest_kaizen.capture import Capture, Recorder, current_recorder, recording

if TYPE_CHECKING:
    from tests.capture.conftest import Wire


def body(number: int, stream: bool) -> dict[str, Any]:
    return {
        "model": "m",
        "stream": stream,
        "messages": [{"role": "user", "content": f"call {number}"}],
    }


def ask(client: httpx.Client, url: str, number: int) -> None:
    if number % 2:
        client.post(url, json=body(number, False)).raise_for_status()
    else:
        with client.stream("POST", url, json=body(number, True)) as response:
            response.read()


async def aask(client: Any, url: str, number: int) -> None:
    if number % 2:
        (await client.post(url, json=body(number, False))).raise_for_status()
    else:
        async with client.stream("POST", url, json=body(number, True)) as response:
            await response.aread()


def assert_own_texts(recorder: Recorder, calls: int) -> None:
    spans = recorder.close()
    assert len(spans) == calls
    assert {span.input[0].text for span in spans} == {f"call {number}" for number in range(calls)}
    assert all(span.text == "echo " + span.input[0].text for span in spans)
    assert all("complete" not in span.metadata and span.error is None for span in spans)
    assert len({span.id for span in spans}) == calls
    assert [span.started_at for span in spans] == sorted(span.started_at for span in spans)


def in_threads(work: Callable[[int], None], calls: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_a_pool(work: Callable[[int], None], calls: int) -> None:
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(calls)))


def in_an_executor(work: Callable[[int], None], calls: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, work, number) for number in range(calls)))

    asyncio.run(main())


def in_worker_threads(work: Callable[[int], None], calls: int) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(calls):
                group.start_soon(anyio.to_thread.run_sync, work, number)

    anyio.run(main, backend="trio")


@pytest.mark.parametrize("how", [in_threads, in_a_pool, in_an_executor, in_worker_threads])
def test_threads(wire: Wire, recorder: Recorder, how: Callable[..., None]) -> None:
    wire.echo = True
    with httpx.Client(timeout=30) as client:
        how(lambda number: ask(client, f"{wire.url}/v1/messages", number), 64)
    assert_own_texts(recorder, 64)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_tasks(wire: Wire, recorder: Recorder, library: Any, backend: str) -> None:
    wire.echo = True

    async def main() -> None:
        limits = library.Limits(max_connections=64)
        async with (
            library.AsyncClient(timeout=60, limits=limits) as client,
            anyio.create_task_group() as group,
        ):
            for number in range(256):
                group.start_soon(aask, client, f"{wire.url}/v1/messages", number)

    anyio.run(main, backend=backend)
    assert_own_texts(recorder, 256)


def test_threads_and_tasks_at_once(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    url = f"{wire.url}/v1/messages"

    async def tasks() -> None:
        limits = httpx2.Limits(max_connections=64)
        async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(*(aask(client, url, number) for number in range(64, 320)))

    with httpx.Client(timeout=60) as client:
        threads = [threading.Thread(target=ask, args=(client, url, number)) for number in range(64)]
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
    assert_own_texts(recorder, 320)


def test_two_recorders_at_once_keep_apart(wire: Wire, capture: Capture) -> None:
    wire.echo = True
    recorders = [Recorder(), Recorder()]

    async def sample(client: httpx.AsyncClient, which: int) -> None:
        with recording(recorders[which]):
            for number in range(20):
                await aask(client, f"{wire.url}/v1/messages", which * 100 + number)

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(sample(client, 0), sample(client, 1))

    asyncio.run(main())
    for which, recorder in enumerate(recorders):
        assert [span.text for span in recorder.spans] == [f"echo call {which * 100 + n}" for n in range(20)]
    assert capture is not None


def test_a_pool_outlives_the_sample_that_filled_it(capture: Capture) -> None:
    with ThreadPoolExecutor(1) as pool:
        with recording(Recorder()) as first:
            assert pool.submit(current_recorder).result() is first
        assert pool.submit(current_recorder).result() is None
        with recording(Recorder()) as second:
            assert pool.submit(current_recorder).result() is second
    assert capture is not None


def test_threads_keep_their_own_run_and_errors(recorder: Recorder) -> None:
    seen: list[Recorder | None] = []

    class Worker(threading.Thread):
        def run(self) -> None:
            seen.append(current_recorder())

    worker = Worker()
    worker.start()
    worker.join()
    timer = threading.Timer(0.01, lambda: seen.append(current_recorder()))
    timer.start()
    timer.join()
    assert seen == [recorder, recorder]
    assert "run" not in vars(worker)
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        worker.start()
    assert "run" not in vars(worker)


def test_a_thread_that_ended_is_freed_at_once(recorder: Recorder) -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    reference = weakref.ref(thread)
    gc.disable()
    try:
        del thread
        assert reference() is None
    finally:
        gc.enable()
    assert recorder.spans == []
