"""Connections that are kept: several loops, the end of a process, forks, and what the environment says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_kaizen import AsyncCTClient, CTClient
from pytest_kaizen.errors import CTValidationError
from pytest_kaizen.platforms.connections import BACKGROUND

KEY = "ct-secret-0123456789"


class Patient(BaseHTTPRequestHandler):
    """Answers and keeps the connection open."""

    protocol_version = "HTTP/1.1"
    peers: list[int]

    def do_GET(self) -> None:
        self.peers.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def patient() -> Iterator[tuple[str, list[int]]]:
    """A URL, and the port of whom each request came from."""
    peers: list[int] = []
    handler = type("Handler", (Patient,), {"peers": peers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", peers
    server.shutdown()
    thread.join(10)
    server.server_close()


def run(code: str, *flags: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout, done.stderr


def test_calls_share_a_connection(patient: tuple[str, list[int]]) -> None:
    url, peers = patient
    with CTClient(KEY, url) as client:
        client.list_tasks()
        client.list_tasks()
        assert peers[0] == peers[1]
        client.close()
        client.list_tasks()
    assert peers[1] != peers[2]


def test_a_client_in_two_loops(patient: tuple[str, list[int]]) -> None:
    url, peers = patient
    client = AsyncCTClient(KEY, url)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop in [*loops, *loops]:
        assert loop.run_until_complete(client.list_tasks()) == []
    for loop in loops:
        loop.run_until_complete(client.close())
        loop.close()
    assert len(peers) == 4
    assert (peers[0], peers[1]) == (peers[2], peers[3])
    assert peers[0] != peers[1]


def test_a_process_that_leaves_its_client_open_ends_in_silence(patient: tuple[str, list[int]]) -> None:
    code = f"from pytest_kaizen import CTClient; c = CTClient({KEY!r}, {patient[0]!r}); print(c.list_tasks())"
    assert run(code, "-W", "error") == (0, "[]\n", "")


def test_a_process_that_is_waiting_ends_at_once() -> None:
    code = (
        "import socket, threading, time; from pytest_kaizen import CTClient; "
        "s = socket.create_server(('127.0.0.1', 0)); "
        f"c = CTClient({KEY!r}, f'http://127.0.0.1:{{s.getsockname()[1]}}', timeout=3600); "
        "threading.Thread(target=c.list_tasks, daemon=True).start(); s.accept()"
    )
    assert run(code) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("first", ["print(c.list_tasks())", "c.close()"])
def test_a_forked_process_leaves_its_parents_connections_alone(
    patient: tuple[str, list[int]], first: str
) -> None:
    url, peers = patient
    code = (
        "import os\n"
        "from pytest_kaizen import CTClient\n"
        "from pytest_kaizen.platforms.connections import BACKGROUND\n"
        f"c = CTClient({KEY!r}, {url!r})\n"
        "c.list_tasks()\n"
        "BACKGROUND._lock.acquire()\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "    BACKGROUND._lock.release()\n"
        "    print(c.list_tasks())\n"
        "else:\n"
        f"    {first}\n"
        "    c.list_tasks()\n"
        "    c.close()\n"
    )
    status, out, err = run(code)
    assert (status, err) == (0, "")
    assert out == "[]\n" * (2 if first.startswith("print") else 1)
    assert peers[0] == peers[-1]
    assert set(peers[1:-1]).isdisjoint({peers[0]})


def test_a_wrong_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://me:secret-word@proxy.test:1")
    with pytest.raises(CTValidationError, match="not sent: the environment's proxy or certificates") as error:
        CTClient(KEY, "http://ct.test").list_tasks()
    assert "nonsense" in str(error.value)
    assert "secret-word" not in str(error.value)


def test_what_nobody_closed_is_closed_with_the_loop(patient: tuple[str, list[int]]) -> None:
    client = CTClient(KEY, patient[0])
    client.list_tasks()

    async def http() -> object:
        return client._connected()

    http_client = BACKGROUND.run(http())
    BACKGROUND.stop()
    assert getattr(http_client, "is_closed") is True  # noqa: B009 - its type is not ours to name
    assert client.list_tasks() == []
    client.close()
