from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.config import Config, ServerConfig
from pytest_kaizen.platforms.kalmia.arrived import arrived
from pytest_kaizen.platforms.kalmia.client import KalmiaClient
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import Tending, Workspaces

Cli = Callable[..., tuple[int, str, str]]

LESSON = {
    "justification": "nobody said when it will come",
    "evidence": [1],
    "criterion": "",
    "section": "answers",
    "when": "",
    "rule": "Name a date.",
    "replaces": "",
    "confidence": "high",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with two trace files in ``logs``; the current folder."""
    (tmp_path / "kaizen.yaml").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "one.md").write_text("# Chat\nWhere is my parcel? - It is on its way.\n")
    (tmp_path / "logs" / "two.json").write_text('{"ask": "When?", "answer": "Soon."}')
    monkeypatch.chdir(tmp_path)
    for name in ("KAIZEN_STORE", "KAIZEN_PROMPT_VERSION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def reflecting(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """The model that reflects: one lesson from any traces, and no relations."""
    assert project.is_dir()
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            wanted = (request.schema or {}).get("properties", {})
            return json.dumps({"lessons": [LESSON]} if "lessons" in wanted else {"relations": []})

        server.reply(answer)
        yield server


@pytest.fixture
def cli(project: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run ``kaizen …`` in the project; gives status, output and error output."""
    assert project.is_dir()

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(list(arguments))
        except SystemExit as exc:
            status = int(exc.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


class Side(NamedTuple):
    """Where commands work: ``cli`` runs them there, ``put`` puts traces of Kalmia's there beforehand."""

    cli: Cli
    put: Callable[..., None]


@pytest.fixture
def here(cli: Cli, project: Path) -> Side:
    """The store of the project."""

    def put(*traces: KalmiaTrace) -> None:
        with Store.open(project / ".kaizen/kaizen.db") as store:
            store.intake.put([arrived(None, trace, datetime.now(UTC)) for trace in traces])

    put()
    return Side(cli, put)


@pytest.fixture
def there(cli: Cli, served: Served) -> Side:
    """A server with nothing in it."""

    def on_server(*arguments: str) -> tuple[int, str, str]:
        return cli(*arguments, "--server", served.url)

    def put(*traces: KalmiaTrace) -> None:
        with KalmiaClient(served.key, served.url) as client:
            assert client.ingest(traces).rejected == []

    return Side(on_server, put)


@pytest.fixture(params=["here", "there"])
def side(request: pytest.FixtureRequest) -> Side:
    """The one, and then the other."""
    found: Side = request.getfixturevalue(request.param)
    return found


class Served(NamedTuple):
    """A server as ``kaizen serve`` has it.

    Attributes:
        url: Where it is.
        key: A key that may read and write.
        folder: Its store.
    """

    url: str
    key: str
    folder: Path


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve in a thread, with a worker that does the jobs."""
    import uvicorn

    from pytest_kaizen.server.app import create_app, listen, url_of
    from pytest_kaizen.store.central import Scope

    workspaces = Workspaces.open(folder)
    place = workspaces.central.create_workspace("team")
    _, key = workspaces.central.keys.create(place.id, label="cli", scopes=[Scope.READ, Scope.WRITE])
    app = create_app(
        Config(root=folder, store=folder / "unused.db", server=ServerConfig(allow_private_hosts=True)),
        workspaces,
    )
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with app.state.worker, Tending(workspaces):
            yield Served(url_of(listener), key, folder)
    finally:
        server.should_exit = True
        thread.join()
        workspaces.close()


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server with an empty workspace; its key is in the environment."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        monkeypatch.setenv("KAIZEN_API_KEY", server.key)
        monkeypatch.delenv("KAYBA_API_KEY", raising=False)
        yield server


@pytest.fixture(params=["store", "server"])
def at(request: pytest.FixtureRequest) -> list[str]:
    """What a command needs to work here, and on a server."""
    if request.param == "store":
        return []
    served: Served = request.getfixturevalue("served")
    return ["--server", served.url]


class Terminal:
    """A program that runs on a pseudo-terminal."""

    def __init__(self, *command: str) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        self.text = ""
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, wanted: str) -> None:
        """Read on until something is shown; the time is for a machine that is very busy."""
        while wanted not in self.text:
            ready, _, _ = select.select([self._ours], [], [], 300)
            assert ready, self.text
            shown = self._read()
            assert shown, self.text
            self._answer(shown)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Do what Ctrl-C does to a program that leaves its terminal as it is."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        while shown := self._read():
            self._answer(shown)
        os.close(self._ours)
        return self._process.wait(300)

    def _answer(self, shown: str) -> None:
        # What a terminal does when it is asked where the cursor is.
        if "\x1b[6n" in shown:
            self.type("\x1b[1;1R")

    def _read(self) -> str:
        try:
            shown = os.read(self._ours, 65536).decode("utf-8", "replace")
        except OSError:
            return ""
        self.text += shown
        return shown


@pytest.fixture
def start(project: Path) -> Callable[..., Terminal]:
    """Start ``kaizen …`` on a pseudo-terminal."""
    assert project.is_dir()
    return partial(Terminal, sys.executable, "-m", "pytest_kaizen.cli")


@pytest.fixture
def start_program(project: Path) -> Callable[..., Terminal]:
    """Start any program on a pseudo-terminal."""
    assert project.is_dir()
    return Terminal
