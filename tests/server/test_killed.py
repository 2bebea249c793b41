"""A server that is killed under load loses nothing that it acknowledged; what is sent again is there once."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from pytest_kaizen import CTClient, KalmiaClient, KaybaClient
from pytest_kaizen.errors import PlatformError
from pytest_kaizen.platforms.exchange import idempotency_key, single_attempt
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace

#: Nothing here takes so long; it only ends a test that would hang.
PATIENCE_S = 120
CLIENTS = 3
#: So many requests are acknowledged before the server is killed.
ACKNOWLEDGED = 40
#: Of so many answers one does not reach its client.
LOST = 4
#: The spans of a trace.
SPANS = 2


class Served:
    """A server in a process of its own, and clients of it; one of each kind serves all threads.

    Attributes:
        process: The server's.
        key: A key of its.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, key: str) -> None:
        self.process = process
        self.key = key
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S)
        self.kalmia = KalmiaClient(key, url)
        self.ct = CTClient(key, url)
        self.kayba = KaybaClient(key, f"{url}/api")

    def close(self) -> None:
        for client in (self.http, self.kalmia, self.ct, self.kayba):
            client.close()

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def send_trace(self, name: str) -> None:
        spans = [{"id": f"{name}-{number}", "name": name} for number in range(SPANS)]
        trace = KalmiaTrace.model_validate({"id": name, "output": name, "spans": spans})
        assert self.kalmia.ingest([trace]).rejected == []

    def send_spans(self, name: str) -> None:
        trace = name.encode().hex().zfill(32)
        shared = {"traceId": trace, "name": name, "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
        ids = [f"{number + 1:016x}" for number in range(SPANS)]
        spans = [
            {**shared, "spanId": given, "parentSpanId": ids[0] if given != ids[0] else ""} for given in ids
        ]
        body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        self.http.post("/v1/traces", json=body).raise_for_status()

    def send_feedback(self, name: str) -> None:
        self.ct.log_feedback("t", {"name": name}, name)

    def send_file(self, name: str) -> None:
        self.kayba.upload_traces([{"filename": f"{name}.md", "content": name, "fileType": "md"}])


SENDERS = {
    "trace": Served.send_trace,
    "spans": Served.send_spans,
    "feedback": Served.send_feedback,
    "file": Served.send_file,
}


class Item(NamedTuple):
    """What is sent once, and sent again while nobody has acknowledged it.

    Attributes:
        kind: How it is sent.
        name: Names it among all that are sent; its idempotency key where it has one.
    """

    kind: str
    name: str


@contextmanager
def serving(root: Path, store: str, key: str = "") -> Iterator[Served]:
    """Run the command; a store without a key yet gets its first one."""
    command = [sys.executable, "-m", "pytest_kaizen.cli", "--root", str(root), "serve", "--port", "0"]
    environment = {**os.environ, "KAIZEN_SERVER_STORE": store}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())
            assert url is not None
            if not key:
                shown = re.search(r"kz_\S+", process.stdout.readline())
                assert shown is not None
                key = shown[0]
            with closing(Served(process, url[0], key)) as served:
                yield served
        finally:
            process.kill()


class Load:
    """What several clients of each kind send.

    Attributes:
        acknowledged: What the server said it has.
        owed: What was sent, and not acknowledged.
    """

    def __init__(self) -> None:
        self.acknowledged: set[Item] = set()
        self.owed: set[Item] = set()
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def until_killed(self, server: Served) -> None:
        """Send from all clients at once, kill the server in the midst of it, and wait for their ends."""
        goal = len(self.acknowledged) + ACKNOWLEDGED
        clients = [
            threading.Thread(target=self._go_on, args=(server, kind))
            for kind in SENDERS
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= goal, PATIENCE_S)
        server.process.kill()
        for client in clients:
            client.join()
        server.process.wait()

    def assert_nothing_lost(self, known: Counter[Item]) -> None:
        """What was acknowledged is there once; what is owed may be there, once."""
        assert {item: known[item] for item in self.acknowledged if known[item] != 1} == {}
        assert {item: times for item, times in known.items() if times > 1 or item not in self._sent} == {}

    def send_owed(self, server: Served) -> None:
        for item in sorted(self.owed):
            self._send(server, item)
        self.acknowledged |= self.owed
        self.owed.clear()

    @property
    def _sent(self) -> set[Item]:
        return self.acknowledged | self.owed

    def _go_on(self, server: Served, kind: str) -> None:
        numbers = itertools.count()
        while True:
            item = Item(kind, f"{kind[0]}{next(self._numbers)}")
            with self._changed:
                self.owed.add(item)
            try:
                self._send(server, item)
            except (PlatformError, httpx.TransportError):
                return
            if next(numbers) % LOST == 0:
                continue
            with self._changed:
                self.owed.remove(item)
                self.acknowledged.add(item)
                self._changed.notify_all()

    def _send(self, server: Served, item: Item) -> None:
        with idempotency_key(item.name), single_attempt():
            SENDERS[item.kind](server, item.name)


def stored(server: Served) -> Counter[Item]:
    """How often the server has what was sent."""
    entries = server.get("/api/v1/feedback?task_id=t&limit=1000")
    found = Counter(Item("feedback", entry["inputs"]["name"]) for entry in entries)
    for meta in server.get("/api/traces")["traces"]:
        if meta["fileType"] == "md":
            found[Item("file", meta["filename"].removesuffix(".md"))] += 1
    cursor: str | None = ""
    while cursor is not None:
        page = server.get(f"/api/v1/traces?limit=200{cursor and f'&cursor={cursor}'}")
        cursor = page["next_cursor"]
        for trace in page["traces"]:
            name = trace["spans"][0]["name"]
            kind = {"t": "trace", "s": "spans"}.get(name[0])
            if kind is not None:
                found[Item(kind, name)] += 1
                # Kalmia has a trace that is none of its own begin with a span for the whole.
                parts = [span for span in trace["spans"] if span["id"] != trace["id"]]
                assert len(parts) == SPANS, trace
    return found


@pytest.mark.parametrize("home", ["sqlite", "postgresql"])
def test_killed_under_load_twice(home: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = str(tmp_path / "store") if home == "sqlite" else request.getfixturevalue("postgres_url")
    (tmp_path / "kaizen.yaml").write_text("server:\n  requests_per_s: 1000000\n", encoding="utf-8")
    load = Load()
    with serving(tmp_path, store) as server:
        key = server.key
        server.ct.create_task("t", feedback_threshold=1_000_000)
        load.until_killed(server)
    with serving(tmp_path, store, key) as server:
        load.assert_nothing_lost(stored(server))
        load.until_killed(server)
    with serving(tmp_path, store, key) as server:
        known = stored(server)
        load.assert_nothing_lost(known)
        # Each client was in the midst of something, each time, and some of what is owed is there.
        assert len(load.owed) >= 2 * CLIENTS * len(SENDERS)
        assert any(known[item] for item in load.owed)
        load.send_owed(server)
        assert stored(server) == Counter(load.acknowledged)
        assert len(load.acknowledged) >= 2 * (ACKNOWLEDGED + CLIENTS * len(SENDERS))
