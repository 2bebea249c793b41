"""How many traces a server's store takes in per second, and how soon it finds them.

``python tests/bench/store.py [--seconds N] [--clients N] [--postgres URL]``

Clients, coroutines of one process, each hand in a trace of 3 spans and 2 KB of text and wait until it is
durable, then hand in the next. The same traces go to SQLite and, when PostgreSQL's programs are
installed, to a server that is started here with its own settings, so that a commit waits for the disk on
both. The index for full-text search is kept up meanwhile, in the same process.

Beside it stands what the disk by itself allows: 2 KB appended to a file and synced, one after the
other, which is what a commit by itself waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pytest_kaizen.models import Message, Part, Span, SpanKind, Trace, Usage, new_span_id, new_trace_id
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import OpenWorkspace, Tending, Workspaces

WORDS = ("parcel", "late", "refund", "order", "ticket", "customer", "invoice", "Monday", "letter", "answer")
RARE = "needle"


class Taken(NamedTuple):
    """What one home did.

    Attributes:
        rate: Traces per second that were acknowledged.
        cpu: Seconds of processor time of this process for each, with the clients' and the index's.
        waits: Seconds that each of them waited.
        behind: Seconds that the index still needed for the rest.
        searches: Seconds that searches took, by what was searched.
        lists: Seconds that lists of 50 traces took.
    """

    rate: float
    cpu: float
    waits: list[float]
    behind: float
    searches: dict[str, list[float]]
    lists: list[float]


def text(chance: random.Random, size: int) -> str:
    """Make up a text of so many characters."""
    return " ".join(chance.choices(WORDS, k=size // 6))[:size]


def trace(chance: random.Random) -> Trace:
    """Make up a trace of 3 spans and 2 KB of text."""
    now = datetime.now(UTC)
    root = new_span_id()
    prompt = [Message(role="user", parts=[Part(type="text", content=text(chance, 900))])]
    answer = [Message(role="assistant", parts=[Part(type="text", content=text(chance, 600))])]
    call = Span(
        id=new_span_id(),
        parent_id=root,
        name="chat",
        provider="anthropic",
        model="claude-haiku-4-5",
        input=prompt,
        output=answer,
        usage=Usage(input_tokens=180, output_tokens=120),
        cost_usd=0.0004,
        latency_ms=800.0,
        started_at=now,
    )
    chain = Span(id=root, name="answer", kind=SpanKind.CHAIN, started_at=now, latency_ms=900.0)
    tool = Span(id=new_span_id(), parent_id=root, name="look up", kind=SpanKind.TOOL, started_at=now)
    output = text(chance, 500) + (f" {RARE}" if chance.random() < 0.001 else "")
    return Trace(
        id=new_trace_id(),
        task="bench",
        name="answer",
        created_at=now,
        output=output,
        spans=[chain, call, tool],
    )


async def ingest(workspace: OpenWorkspace, clients: int, seconds: float) -> tuple[float, list[float]]:
    """Hand in traces; return how many per second were acknowledged, and how long each waited."""
    waits: list[float] = []
    chance = random.Random(0)
    # Making one up costs as much as storing it.
    made = [trace(chance) for _ in range(1000)]

    async def client() -> None:
        while time.perf_counter() - begun < seconds:
            item = chance.choice(made).model_copy(update={"id": new_trace_id()})
            asked = time.perf_counter()
            await workspace.writer.submit(adding(item))
            waits.append(time.perf_counter() - asked)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(waits) / (time.perf_counter() - begun), waits


def adding(item: Trace) -> Callable[[Store], list[str]]:
    """Return the work of storing a trace."""
    return lambda store: store.shelf.add([item])


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Do work so many times; return how long each took."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return taken


def measure(place: Path | str, clients: int, seconds: float) -> Taken:
    """Measure one home."""
    workspaces = Workspaces.open(place)
    try:
        workspace = workspaces.get(workspaces.central.create_workspace("bench").id)
        with Tending(workspaces):
            asyncio.run(ingest(workspace, clients, 1.0))
            started = time.process_time()
            rate, waits = asyncio.run(ingest(workspace, clients, seconds))
            cpu = (time.process_time() - started) / len(waits)
            begun = time.perf_counter()
            workspace.index(anyway=True)
            behind = time.perf_counter() - begun
            print(f"  {workspace.store.retention.count()} traces, {workspace.size() >> 20} MB")
            searches = {
                what: timed(lambda what=what: workspace.search(what), 100)  # type: ignore[misc]
                for what in (RARE, "refund", '"parcel late"', "refund -parcel")
            }
            return Taken(rate, cpu, waits, behind, searches, timed(workspace.store.traces, 100))
    finally:
        workspaces.close()


def disk(folder: Path) -> float:
    """Return how many synced appends per second the disk allows."""
    with (folder / "synced").open("wb", buffering=0) as file:
        begun = time.perf_counter()
        count = 0
        while time.perf_counter() - begun < 1.0:
            file.write(b"x" * 2048)
            os.fsync(file.fileno())
            count += 1
    return count / (time.perf_counter() - begun)


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """Give the URL of a server; start one with PostgreSQL's own settings when none is given."""
    if url is not None:
        yield url
        return
    import pytest

    # The tests know how to find and start one.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests import conftest

    try:
        with conftest.running_postgres(()) as server:
            yield server("postgres")
    except pytest.skip.Exception as exc:
        print(f"PostgreSQL: {exc}")
        yield None


def show(name: str, taken: Taken) -> None:
    """Print what one home did."""
    print(f"{name}: {taken.rate:.0f} traces/s durable, answered after {quantiles(taken.waits)}")
    print(f"  {taken.cpu * 1e6:.0f} us of processor time per trace in the process that stores and indexes it")
    print(f"  search was {taken.behind:.1f} s behind at the end; lists of 50: {quantiles(taken.lists)}")
    for what, times in taken.searches.items():
        print(f"  search {what}: {quantiles(times)}")


def quantiles(times: list[float]) -> str:
    """Say the middle and the 99th percentile in milliseconds."""
    middle, late = statistics.median(times), statistics.quantiles(times, n=100)[-1]
    return f"p50 {middle * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a server's store takes in and finds.")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to hand in (default: 15)")
    parser.add_argument("--clients", type=int, default=64, help="at once (default: 64)")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server instead of one started here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"the disk: {disk(Path(folder)):.0f} appends of 2 KB/s, each synced")
        show("SQLite", measure(Path(folder) / "server", options.clients, options.seconds))
        with postgres(options.postgres) as url:
            if url is not None:
                show("PostgreSQL", measure(url, options.clients, options.seconds))


if __name__ == "__main__":
    main()
