"""What a server does must not keep the session: a row for each way to fail, with its time.

Rows run beside one without a backend: what a loaded machine does to one it does to the other.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_kaizen.store import Store

CONTROL = "no backend"
SUITE = """
    import time
    from pathlib import Path

    import pytest

    @pytest.mark.kaizen("support")
    def test_first(kaizen):
        kaizen.case(input={"ticket": "login"}, output="about login")
        kaizen.score("polite", 0.75)

    @pytest.fixture(scope="session", autouse=True)
    def note_the_end():
        yield
        Path("ended").write_text(str(time.time()))
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"


def answer(status: str, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def say(raw: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda peer, _: peer.sendall(raw)


def silence(_: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def drip(peer: socket.socket, over: threading.Event) -> None:
    peer.sendall(HEAD)
    while not over.wait(0.2):
        peer.sendall(b"{")


#: By the name of the row: what the server does; None where nobody is asked.
FAULTS: dict[str, Callable[[socket.socket, threading.Event], None] | None] = {
    CONTROL: None,
    "refused": None,
    "DNS failure": None,
    "TLS error": say(b"this is no TLS\r\n"),
    "silent": silence,
    "slow drip": drip,
    "500": say(answer("500 Broken", b'{"title": "broken"}')),
    "429": say(answer("429 Slow down", b'{"title": "slow down"}', more="Retry-After: 1\r\n")),
    "429 for long": say(answer("429 Slow down", b'{"title": "slow down"}', more="Retry-After: 600\r\n")),
    "garbage": say(answer("200 OK", b"<html>Welcome to the hotel</html>", "text/html")),
    "half a body": say(HEAD + b'{"id": "'),
    "401": say(answer("401 Who", b'{"title": "unauthorized"}')),
}
#: The upload timeout of the rows that have ended long before it, and of those that use it up.
LONG_S, SHORT_S = 60.0, 8.0
#: Rows that run side by side, each time beside a control.
BATCHES = (
    ("refused", "DNS failure", "TLS error"),
    ("429 for long", "half a body", "401"),
    ("silent", "slow drip", "500", "429", "garbage"),
)
USING_THE_TIMEOUT = BATCHES[-1]
SAYS = {
    "refused": "Connection refused",
    "DNS failure": "cannot connect",
    "TLS error": "cannot connect",
    "silent": "no whole answer in the time that there was",
    "slow drip": "no whole answer in the time that there was",
    "500": "500: broken",
    "429": "429: slow down",
    "429 for long": "429: slow down",
    "garbage": "200 with text/html where JSON was promised: '<html>Welcome to the hotel</html>'",
    "half a body": "the connection broke",
    "401": "401: unauthorized",
}


@dataclass
class Ending:
    """How a run came to its end.

    Attributes:
        delay_s: From the end of the last test to the end of the process.
        control_s: The same without a backend, at the same time.
    """

    root: Path
    code: int
    output: str
    delay_s: float
    control_s: float = 0.0


class Bad:
    """A server that does the same to everybody."""

    def __init__(self, behaviour: Callable[[socket.socket, threading.Event], None]) -> None:
        self._behaviour = behaviour
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        self._over.set()
        # Who waits in accept() goes on waiting on a socket that is only closed, and would take the
        # connections of the next server on its port.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            peer.recv(65536)
            self._behaviour(peer, self._over)
            peer.shutdown(socket.SHUT_WR)


def url_of(row: str, server: Bad | None) -> str:
    if row == "DNS failure":
        return "http://no-such-host.invalid"
    if server is None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            return f"http://127.0.0.1:{closed.getsockname()[1]}"
    return f"{'https' if row == 'TLS error' else 'http'}://127.0.0.1:{server.port}"


def start(root: Path, row: str, url: str) -> subprocess.Popen[str]:
    (root / "test_it.py").write_text(textwrap.dedent(SUITE), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAIZEN_", "PYTEST"))}
    ours = {"KAIZEN_API_KEY": "ct-key", "KAIZEN_BASE_URL": url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    backend = "local" if row == CONTROL else "kaizen-ct"
    timeout = SHORT_S if row in USING_THE_TIMEOUT else LONG_S
    options = ["-pkaizen", f"--kaizen-backend={backend}", f"--kaizen-upload-timeout={timeout}"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "--kaizen", "-q", *options],
        cwd=root,
        env={**kept, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_at_once(folder: Path, rows: Sequence[str]) -> dict[str, Ending]:
    servers = {row: Bad(behaviour) for row in rows if (behaviour := FAULTS[row]) is not None}
    ended: dict[str, Ending] = {}

    def run(row: str) -> None:
        root = folder / row.replace(" ", "_")
        root.mkdir()
        process = start(root, row, url_of(row, servers.get(row)))
        output, _ = process.communicate(timeout=300)
        delay = time.time() - float((root / "ended").read_text())
        ended[row] = Ending(root, process.returncode, output, delay)

    threads = [threading.Thread(target=run, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers.values():
        server.close()
    for ending in ended.values():
        ending.control_s = ended[CONTROL].delay_s
    return ended


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ending]:
    ended: dict[str, Ending] = {}
    for rows in BATCHES:
        ended |= run_at_once(tmp_path_factory.mktemp("rows"), [CONTROL, *rows])
    return ended


@pytest.mark.parametrize("row", FAULTS)
def test_the_process_ends(endings: dict[str, Ending], row: str) -> None:
    found = endings[row]
    print(f"{row}: {found.delay_s:.2f} s after the last test, {found.control_s:.2f} s without a backend")
    limit = SHORT_S + 5.0 if row in USING_THE_TIMEOUT else 5.0
    # Without a backend there is no HTTP client to load, and a process has ended before the load is another.
    assert found.delay_s < limit + 10 * found.control_s
    assert found.code == 0
    assert "1 passed" in found.output


@pytest.mark.parametrize("row", [row for row in FAULTS if row != CONTROL])
def test_it_says_what_is_owed(endings: dict[str, Ending], row: str) -> None:
    (line,) = [line for line in endings[row].output.splitlines() if " owed, " in line]
    assert line.startswith("kaizen: kaizen-ct: 2 owed, 0 sent (they go with the next run or `kaizen sync`): ")
    assert SAYS[row] in line
    assert "ct-key" not in endings[row].output
    with Store.open(endings[row].root / ".kaizen" / "kaizen.db", readonly=True) as store:
        assert store.outbox.state("kaizen-ct").owed == 2
        assert [trace.task for trace in store.traces()] == ["support"]


@pytest.mark.parametrize("row", ["silent", "slow drip"])
def test_a_server_that_answers_nothing_is_waited_for(endings: dict[str, Ending], row: str) -> None:
    """Else the rows above would measure nothing."""
    assert endings[row].delay_s > SHORT_S
