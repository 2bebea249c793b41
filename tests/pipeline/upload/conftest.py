"""Platforms made from the wire models, on a socket, whose every body must look like the golden JSON."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import BaseModel

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.models import (
    Case,
    Message,
    ParcelKind,
    Part,
    Remote,
    Run,
    Sample,
    Score,
    ScoreSource,
    Span,
    Trace,
    Usage,
)
from pytest_kaizen.pipeline.upload import Backend, Parcel, Shipment
from pytest_kaizen.store import Store

GOLDEN = Path(__file__).parents[2] / "golden"
NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
RUN = Run(id="run-1", created_at=NOW, branch="main", revision="0123456789abcdef")
#: Keys under which anything may stand.
FREE = {"input", "output", "metadata", "scores"}

Handler = Callable[..., Any]


class Lost(Exception):  # noqa: N818 - it is no error of the platform
    """The connection goes before the answer does."""


class Refused(Exception):  # noqa: N818 - it is no error of the fake
    """An answer with an error status."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass
class Route:
    """A call of a platform: where it is, what reads it, what answers it, and its golden file."""

    method: str
    path: str
    golden: str
    handle: Handler
    reads: type[BaseModel] | None = None
    like: Any = None


@dataclass
class Platform:
    """An ASGI app.

    Attributes:
        routes: Its calls.
        log: What was asked, as ``METHOD path``.
        faults: By a pattern of that, what goes wrong the next times: ``lost`` (it is done, and no
            answer arrives) or a status (it is not done).
        wrong: What did not look like the golden JSON.
    """

    name: str
    routes: list[Route] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    faults: list[tuple[str, str | int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: dict[str, Any], receive: Handler, send: Handler) -> None:
        asked = f"{scope['method']} {scope['raw_path'].decode()}"
        self.log.append(asked)
        fault = next((fault for fault in self.faults if re.search(fault[0], asked)), None)
        if fault:
            self.faults.remove(fault)
        status, body = 404, b'{"detail": "not here"}'
        if fault and isinstance(fault[1], int):
            status, body = fault[1], b'{"detail": "told to"}'
        else:
            for route in self.routes:
                found = re.fullmatch(f"{route.method} {route.path}", asked)
                if found:
                    status, body = self._answer(route, found, (await receive())["body"])
                    break
            if fault:
                raise Lost
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, route: Route, found: re.Match[str], content: bytes) -> tuple[int, bytes]:
        golden = json.loads((GOLDEN / self.name / f"{route.golden}.json").read_text(encoding="utf-8"))
        arguments: list[Any] = [unquote(group) for group in found.groups()]
        if route.reads is not None:
            self._compare(
                f"{route.golden} request", [route.like or golden["request"]["body"]], json.loads(content)
            )
            arguments.append(route.reads.model_validate_json(content))
        try:
            answer: Any = route.handle(*arguments)
        except Refused as exc:
            return exc.status, b'{"detail": "no"}'
        self._compare(f"{route.golden} answer", [golden["response"]["body"]], answer.to_json())
        return golden["response"]["status"], answer.to_bytes()

    def _compare(self, where: str, golden: list[Any], actual: Any) -> None:
        """Note keys and types that none of the golden examples has."""
        if isinstance(actual, dict):
            known = [example for example in golden if isinstance(example, dict)]
            for key, value in actual.items():
                examples = [example[key] for example in known if key in example]
                if not examples:
                    self.wrong.append(f"{where}: unknown key {key}")
                elif key not in FREE:
                    self._compare(f"{where}.{key}", examples, value)
        elif isinstance(actual, list):
            items = [item for example in golden if isinstance(example, list) for item in example]
            for item in actual:
                self._compare(f"{where}[]", items, item)
        elif actual is not None and not any(isinstance(example, type(actual) | None) for example in golden):
            self.wrong.append(f"{where}: {actual!r}, unlike {golden}")

    def asked(self, pattern: str) -> int:
        """Return how often something was asked."""
        return sum(bool(re.search(pattern, asked)) for asked in self.log)


def _handler(app: Platform) -> type[BaseHTTPRequestHandler]:
    class OverHttp(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            scope = {
                "type": "http",
                "method": self.command,
                "raw_path": path.encode(),
                "query_string": query.encode(),
            }
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": content}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            try:
                asyncio.run(app(scope, receive, send))
            except Lost:
                self.close_connection = True
                return
            self.send_response(sent[0]["status"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent[1]["body"])))
            self.end_headers()
            self.wfile.write(sent[1]["body"])

        do_GET = do_POST = _serve  # noqa: N815 - the names that the base class calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    return OverHttp


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Platform], None]]:
    """Put a platform on a socket; at the end, every body was as the golden JSON has it."""
    monkeypatch.setattr("pytest_kaizen.platforms.exchange._FIRST_PAUSE_S", 0.005)
    served: list[tuple[Platform, ThreadingHTTPServer, threading.Thread]] = []

    def start(app: Platform) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(app))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        served.append((app, server, thread))
        app.url = f"http://127.0.0.1:{server.server_port}"

    yield start
    for app, server, thread in served:
        server.shutdown()
        thread.join(10)
        server.server_close()
        assert app.wrong == []


def message(role: str, text: str) -> Message:
    return Message(role=role, parts=[Part(type="text", content=text)])


def make_sample(case: str, number: int, passed: bool) -> Sample:
    trace = Trace(
        id=f"{case}-{number}",
        run_id="run-1",
        task="support",
        case_id=case,
        sample=number,
        name=f"test_{case}",
        created_at=NOW,
        input={"ticket": case},
        output="done",
        scores=[
            Score(name="polite", value=float(passed), source=ScoreSource.CHECK, reason="a reason"),
            Score(name="broken", error="no answer", source=ScoreSource.JUDGE),
        ],
        spans=[
            Span(
                id=f"{case}-{number}-span",
                name="chat m-1",
                provider="anthropic",
                model="m-1",
                input=[message("user", f"ticket {case}")],
                output=[message("assistant", "done")],
                usage=Usage(input_tokens=10, output_tokens=2),
                started_at=NOW + timedelta(seconds=number),
                latency_ms=120.5,
            )
        ],
    )
    return Sample(trace=trace, passed=passed, error=None if passed else "AssertionError: rude")


@dataclass
class Story:
    """A run of three cases with two samples each, of which one case failed, as parcels.

    Attributes:
        remote: What the outbox keeps.
        said: What the user was told.
    """

    run: Run = field(default_factory=lambda: RUN)
    cases: tuple[tuple[str, bool], ...] = (("a", True), ("b", False), ("c", True))
    weak: tuple[str, ...] = ("support",)
    remote: Remote = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def parcels(self, kinds: frozenset[ParcelKind]) -> list[Parcel]:
        made = [Parcel("begun", ParcelKind.RUN_BEGUN, self.run)]
        for name, passed in self.cases:
            samples = [make_sample(name, number, passed) for number in range(2)]
            case = Case(
                id=name,
                run_id="run-1",
                task="support",
                outcome="passed" if passed else "failed",
                samples=samples,
            )
            for sample in samples:
                alone = case.model_copy(update={"samples": [sample]})
                made.append(Parcel(sample.trace.id, ParcelKind.SAMPLE, self.run, alone))
            made.append(Parcel(f"case-{name}", ParcelKind.CASE_FINISHED, self.run, case))
        made.append(Parcel("finished", ParcelKind.RUN_FINISHED, self.run, weak=self.weak))
        return [parcel for parcel in made if parcel.kind in kinds]

    async def deliver(self, backend: Backend, parcels: Sequence[Parcel], size: int = 100) -> None:
        """Send parcels as the outbox does: again from where it broke off, with what was kept."""
        owed = list(parcels)
        for _ in range(10):
            while owed:
                shipment = Shipment(owed[:size], self.remote, self.said.append)
                try:
                    await backend.send(shipment)
                except PlatformError as exc:
                    owed = [parcel for parcel in owed if parcel not in shipment.delivered]
                    if not exc.transient:
                        raise
                    break
                owed = owed[size:]
        assert owed == []

    async def die(self, backend: Backend, parcels: Sequence[Parcel]) -> None:
        """Send parcels in a process that is killed before it can write down what came of it."""
        with suppress(PlatformError):
            await backend.send(Shipment(parcels, dict(self.remote), self.said.append))


@pytest.fixture
def story() -> Story:
    return Story()


SUITE = """
import pytest

@pytest.mark.kaizen("support")
@pytest.mark.kaizen_threshold("polite", min=0.8)
@pytest.mark.parametrize("ticket", ["login", "refund"])
def test_it(kaizen, ticket):
    kaizen.case(input={"ticket": ticket}, output=f"about {ticket} ```")
    kaizen.score("polite", 0.5 if ticket == "refund" else 1.0, "a reason")
"""


@pytest.fixture
def session(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """Run a suite of two cases, of which one fails its gate, with backends; return the upload's lines
    and the cases' trace ids by their tickets."""

    def run(backends: dict[str, Any], *args: str, **env: str) -> tuple[list[str], dict[str, str]]:
        for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        # JSON is YAML.
        (pytester.path / "kaizen.yaml").write_text(json.dumps({"backends": backends}), encoding="utf-8")
        (pytester.path / "test_it.py").write_text(SUITE, encoding="utf-8")
        done = pytester.runpytest_subprocess("--kaizen", "-pno:cacheprovider", *args)
        done.assert_outcomes(passed=1, failed=1)
        with Store.open(pytester.path / ".kaizen" / "kaizen.db") as store:
            traces = store.traces(limit=10)
        lines = [line for line in done.outlines if line.startswith("kaizen: ka")]
        return lines, {trace.input["ticket"]: trace.id for trace in traces}

    return run


@pytest.fixture
def platform() -> type[Platform]:
    return Platform


@pytest.fixture
def route() -> type[Route]:
    return Route


@pytest.fixture
def refused() -> type[Refused]:
    return Refused


Serve = Callable[[Platform], None]
