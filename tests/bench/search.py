"""How soon ``kaizen serve`` finds traces while it takes others in.

``python tests/bench/search.py [--traces N] [--searches N] [--rate N]``

Three processes on one machine: ``kaizen serve`` on a SQLite store that is full beforehand, one that hands
in traces of 3 spans and 2 KB at a given rate, and this one, which searches, one search after the other.
What is searched takes turns, and so does whether traces are handed in: no, no (the A/A control: what no
difference looks like) and yes, in short rounds, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[2]))

from pytest_kaizen.models import new_trace_id
from pytest_kaizen.platforms.kalmia.arrived import shown
from pytest_kaizen.store.workspaces import Workspaces
from tests.bench.server import Served, quantile, served
from tests.bench.store import RARE, trace

SEARCHED = (RARE, "refund", '"parcel late"', "refund -needle")
#: Of these, as a page shows them.
HITS = 20
ROUNDS = 6
BATCH = 10


def fill(folder: Path, count: int) -> None:
    """Put traces into the store that the server will have, and index them."""
    workspaces = Workspaces.open(folder / "store")
    try:
        place = workspaces.central.create_workspace("default")
        workspace = workspaces.get(place.id)
        chance = random.Random(0)
        made = [trace(chance) for _ in range(1000)]
        for _ in range(0, count, 500):
            some = chance.choices(made, k=500)
            workspace.store.shelf.add([item.model_copy(update={"id": new_trace_id()}) for item in some])
        workspace.index(anyway=True)
    finally:
        workspaces.close()


@contextmanager
def handing_in(server: Served, rate: float) -> Iterator[None]:
    """Hand in traces, so many a second, from a process of its own."""
    command = [sys.executable, __file__, "--hand-in", server.url, server.key, "--rate", str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begins\n"
            yield
        finally:
            process.terminate()


async def hand_in(url: str, key: str, rate: float) -> None:
    """Hand in traces until the end, in batches at even distances; what is late is made up for."""
    chance = random.Random(1)
    made = [shown(trace(chance)).to_json() for _ in range(200)]
    async with aiohttp.ClientSession(headers={"X-API-Key": key}) as session:
        begun, sent = time.perf_counter(), 0
        print("begins", flush=True)
        while True:
            items = [{**item, "id": new_trace_id()} for item in chance.choices(made, k=BATCH)]
            async with session.post(f"{url}/api/v1/traces/ingest", json=items) as response:
                assert await response.json() == {"rejected": []}
            sent += BATCH
            await asyncio.sleep(max(0.0, begun + sent / rate - time.perf_counter()))


async def search(server: Served, count: int) -> list[float]:
    """Search so many times; return the milliseconds of each."""
    took = []
    async with aiohttp.ClientSession(headers={"X-API-Key": server.key}) as session:
        for number in range(-len(SEARCHED), count):
            body = {"query": SEARCHED[number % len(SEARCHED)], "limit": HITS}
            began = time.perf_counter()
            async with session.post(f"{server.url}/api/traces/search", json=body) as response:
                answer = await response.read()
            if number >= 0:
                took.append((time.perf_counter() - began) * 1000)
            assert response.status == 200, answer
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=33_500, help="there beforehand (default: 33500)")
    parser.add_argument("--searches", type=int, default=600, help="of each kind (default: 600)")
    parser.add_argument("--rate", type=float, default=500.0, help="traces a second (default: 500)")
    parser.add_argument("--hand-in", nargs=2, metavar=("URL", "KEY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hand_in:
        url, key = given.hand_in
        asyncio.run(hand_in(url, key, given.rate))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, given.traces)
        with served(folder, "http://127.0.0.1:9") as server:
            times: dict[str, list[float]] = {"quiet": [], "quiet (A/A)": [], "taking in": []}
            cpu_s = dict.fromkeys(times, 0.0)
            for _ in range(ROUNDS):
                for label, took in times.items():
                    with handing_in(server, given.rate) if label == "taking in" else nullcontext():
                        before = server.cpu_s
                        took += asyncio.run(search(server, given.searches // ROUNDS))
                        cpu_s[label] += server.cpu_s - before
            for label, took in times.items():
                parts = [f"{label:12}"]
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                    found, base = quantile(took, share), quantile(times["quiet"], share)
                    parts.append(f"{name} {found:6.1f} ms (x{found / base:.2f})")
                spent = cpu_s[label] / len(took) * 1000
                print("  ".join(parts), f" the server's processor time {spent:.1f} ms a search")


if __name__ == "__main__":
    main()
