"""What the server takes: time added by its proxy, requests a second, start and memory.

``python tests/bench/server.py [--calls N] [--seconds S] [--connections N]``

Three processes on one machine: a provider that answers at once with the same 2 KB, ``kaizen serve`` on a
fresh SQLite store, and this one, which asks. For the added time one connection asks the provider itself,
the provider itself again (the A/A control: what no difference looks like) and through the proxy, in turn.
For requests a second many connections ask as fast as they are answered, first the provider and then the
proxy. Every call through the proxy becomes a stored trace; the last figure is how many were stored when
the server had stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

PROVIDER = """\
import json, socket, sys
import uvicorn
TEXT = "The parcel of the customer has been late since Monday and they ask for their money back. " * 22
USAGE = {"input_tokens": 20, "output_tokens": 400}
BODY = json.dumps({"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": USAGE}).encode()
HEAD = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")).run([listener])
"""
ASK = json.dumps(
    {
        "model": "claude-haiku-4-5",
        "max_tokens": 400,
        "messages": [{"role": "user", "content": "Where is my parcel? " * 10}],
    }
).encode()
WARM_UP = 100


class Place(NamedTuple):
    """Where to ask, and with what."""

    url: str
    headers: dict[str, str]


class Served(NamedTuple):
    """A server that runs."""

    url: str
    key: str
    started_s: float
    process: subprocess.Popen[str]

    @property
    def memory_mb(self) -> float:
        """What it holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken, which says more on a busy machine than time that passed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def provider() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", PROVIDER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@contextmanager
def served(folder: Path, upstream: str) -> Iterator[Served]:
    """Run ``kaizen serve`` on a store in a folder, and stop it as an operator would."""
    (folder / "kaizen.yaml").write_text(
        f"server:\n  anthropic_url: {upstream}\n  requests_per_s: 1000000\n", encoding="utf-8"
    )
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "pytest_kaizen.cli",
        "serve",
        "--port",
        "0",
        "--store",
        f"{folder}/store",
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline(), process.stdout.readline()]
            url, key = (re.search(rf"{start}\S+", "".join(lines)) for start in ("http://", "kz_"))
            assert url is not None, lines
            assert key is not None, lines
            asyncio.run(answers(url[0]))
            yield Served(url[0], key[0], time.perf_counter() - began, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


async def answers(url: str) -> None:
    """Wait until a server answers."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
        response.raise_for_status()


async def ask(session: aiohttp.ClientSession, place: Place) -> float:
    """Ask once; return the milliseconds until the answer was whole."""
    began = time.perf_counter()
    async with session.post(place.url, data=ASK, headers=place.headers) as response:
        body = await response.read()
    took = (time.perf_counter() - began) * 1000
    assert response.status == 200, body
    return took


async def in_turn(places: Sequence[Place], calls: int) -> list[list[float]]:
    """Ask each place in turn over one connection; return the milliseconds of each."""
    took: list[list[float]] = [[] for _ in places]
    async with aiohttp.ClientSession() as session:
        for number in range(-WARM_UP, calls):
            for place, times in zip(places, took, strict=True):
                time_ms = await ask(session, place)
                if number >= 0:
                    times.append(time_ms)
    return took


async def as_fast_as_possible(place: Place, connections: int, seconds: float) -> tuple[float, list[float]]:
    """Ask over many connections; return requests a second and the milliseconds of each."""
    took: list[float] = []
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(ask(session, place) for _ in range(connections)))
        until = time.perf_counter() + seconds

        async def go_on() -> None:
            while time.perf_counter() < until:
                took.append(await ask(session, place))

        await asyncio.gather(*(go_on() for _ in range(connections)))
    return len(took) / seconds, took


def quantile(times: Sequence[float], share: float) -> float:
    return statistics.quantiles(times, n=1000)[round(share * 1000) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, provider() as upstream:
        folder = Path(name)
        with served(folder, upstream) as server:
            idle = server.memory_mb
            direct = Place(f"{upstream}/v1/messages", {"x-api-key": "sk-none"})
            through = Place(
                f"{server.url}/api/v1/messages", {"x-api-key": "sk-none", "X-Kaizen-Key": server.key}
            )
            print(f"start to first answer {server.started_s:.2f} s, idle {idle:.0f} MB")
            first, control, proxied = asyncio.run(in_turn((direct, direct, through), given.calls))
            for label, times in (("direct", first), ("direct (A/A)", control), ("proxy", proxied)):
                print(f"{label:14} p50 {quantile(times, 0.5):6.2f} ms  p99 {quantile(times, 0.99):6.2f} ms")
            for label, times in (("A/A differs by", control), ("proxy adds", proxied)):
                added = [quantile(times, share) - quantile(first, share) for share in (0.5, 0.99)]
                print(f"{label:14} p50 {added[0]:6.2f} ms  p99 {added[1]:6.2f} ms")
            asked = len(proxied) + WARM_UP
            for label, place in (("direct", direct), ("proxy", through)):
                before = server.cpu_s
                rate, times = asyncio.run(as_fast_as_possible(place, given.connections, given.seconds))
                print(
                    f"{label:14} {rate:6.0f} requests/s at {given.connections} connections, "
                    f"p50 {quantile(times, 0.5):.1f} ms, p99 {quantile(times, 0.99):.1f} ms"
                )
                if place is through:
                    spent = (server.cpu_s - before) / (len(times) + given.connections) * 1000
                    print(f"{'':14} {spent:.2f} ms of the server's processor time a request, traces included")
                    asked += len(times) + given.connections
            busy = server.memory_mb
        print(f"memory after it {busy:.0f} MB; stored {stored(folder / 'store')} of {asked} traces")


def stored(folder: Path) -> int:
    import sqlite3

    count = 0
    for path in folder.glob("w*.db"):
        with sqlite3.connect(path) as connection:
            count += connection.execute("SELECT count(*) FROM traces").fetchone()[0]
    return count


if __name__ == "__main__":
    main()
