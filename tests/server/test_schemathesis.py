"""What schemathesis finds: requests of every kind, made from the OpenAPI document.

Beside the workspace that is asked lies another one, whose texts all say so. No answer may hold one, and
nothing in it may change, also where its ids are named. The requests are the same ones each time;
``KAIZEN_FUZZ_EXAMPLES=100`` makes more of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.platforms import connections
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from pytest_kaizen.server.dispatch import OPERATION
from pytest_kaizen.server.operation import Access, Operation
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.store import sealed
from tests.pipeline.integrations.places import BraintrustPlace
from tests.server.conftest import Book, Live, MakeSite
from tests.server.filled import IDS, WORDS, fill
from tests.server.proxy.conftest import Provider

EXAMPLES = int(os.environ.get("KAIZEN_FUZZ_EXAMPLES", "2"))
CANARY = "canary-7d1f"
#: As schemathesis has them: what a request may come to that agrees with the document.
TAKEN = ["2xx", "3xx", "401", "403", "404", "409", "429"]
#: What more it may come to, for a reason that no schema can say.
REFUSED = {
    # A cursor is one that a page gave.
    "GET /api/v1/traces": ("422",),
    # There are no traces, no insight is accepted, the task has no feedback.
    "POST /api/insights/generate": ("400",),
    "POST /api/prompts/generate": ("400",),
    "POST /api/v1/optimize/{task_id}": ("400",),
    # An address is one of a server; a project is named or set, and so is all that a connection needs.
    **{f"PUT /api/integrations/{name}": ("422",) for name in ("mlflow", "langsmith", "braintrust")},
    "GET /api/integrations/{integration}/projects": ("422", "424"),
    "POST /api/integrations/{integration}/import": ("422",),
    "GET /api/braintrust/traces": ("422", "424"),
    "GET /api/braintrust/traces/{trace_id}": ("422", "424"),
    # The version is named in the body or in the query.
    "POST /api/v1/prompts/{task_id}/activate": ("422",),
    # They are more than the document says: as this release of the plugin writes them.
    "PUT /api/runs/{run_id}": ("422",),
    "PUT /api/runs/{run_id}/cases": ("422",),
    # A job failed, for want of a key for the model.
    "POST /api/experiments/{experiment_id}/analysis": ("424",),
    "POST /api/behaviors/detect": ("424",),
    # What an evaluator is, a file of seeds and a message of OTLP, is said elsewhere.
    "POST /api/v1/tasks": ("422",),
    "POST /api/v1/feedback": ("422",),
    "POST /api/v1/tasks/{task_id}/seed": ("422",),
    "POST /v1/traces": ("400", "415"),
}
#: Bodies whose parts are checked one by one, so that the document does not say what they hold.
DEEPER: dict[str, type[BaseModel]] = {"/api/v1/traces/ingest": KalmiaTrace}
#: One round, each kind of request a few times.
ONE_ROUND = {
    "examples": {"enabled": False},
    "coverage": {"enabled": False},
    "stateful": {"enabled": False},
}


def asks_elsewhere(operation: Operation | None) -> bool:
    """Whether it may answer that somebody else does not."""
    return operation is not None and 502 in operation.errors


class Watch:
    """Sees every answer of a server, also those to what a check asks beside.

    Attributes:
        found: What is wrong with them.
        asked: The operations that were asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.found: list[str] = []
        self.asked: set[str] = set()
        self.theirs_may_ask = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 0, b""

        async def watched(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, watched)
        if scope["type"] == "http" and status:
            self._look(scope, status, body)

    def _look(self, scope: Scope, status: int, body: bytes) -> None:
        asked = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}"
        operation: Operation | None = scope.get(OPERATION)
        if operation is not None:
            self.asked.add(operation.name)
            if status not in operation.statuses:
                self.found.append(f"{asked}: {status} is not documented")
        elif status not in (404, 405):
            self.found.append(f"{asked}: {status} at no operation")
        if status >= 500 and not (status == 502 and asks_elsewhere(operation)):
            self.found.append(f"{asked}: {status}: {body.decode()}")
        if CANARY.encode() in body and not self.theirs_may_ask:
            self.found.append(f"{asked}: a text of another workspace: {body.decode()}")


class World:
    """A server with two workspaces."""

    def __init__(self, book: Book, url: str, watch: Watch, braintrust: str) -> None:
        self.keys = book.keys
        self.url = url
        self.watch = watch
        fill(book, url, "all", "ours", "a text of ours", braintrust)
        self.theirs = fill(book, url, "stranger", "theirs", CANARY, braintrust)
        self._before = self._seen_by_them()
        watch.theirs_may_ask = False

    def assert_nothing_found(self, found: list[str]) -> None:
        """What checks found is nothing, nor what was seen beside; the other workspace is as it was."""
        problems = "\n\n".join(sorted({*found, *self.watch.found}))
        assert not problems, problems
        assert {operation.name for operation in OPERATIONS} - self.watch.asked == set()
        self.watch.theirs_may_ask = True
        assert self._seen_by_them() == self._before

    def _seen_by_them(self) -> dict[str, Any]:
        """All that can be read in the other workspace, by operation."""
        headers = {"X-API-Key": self.keys["stranger"]}
        with httpx.Client(base_url=self.url, headers=headers) as http:
            seen = {row.name: self._read(http, row) for row in OPERATIONS if row.access is Access.READ}
        assert sum(CANARY in text for text in seen.values()) > len(seen) / 2
        return seen

    def _read(self, http: httpx.Client, operation: Operation) -> str:
        if operation.method != "GET" or asks_elsewhere(operation):
            return ""
        ids = {name: WORDS.get(name) or self.theirs[IDS[name]] for name in operation.parameters}
        fields = {} if operation.query is None else operation.query.model_fields
        query = {name: self.theirs[IDS[name]] for name, field in fields.items() if field.is_required()}
        answer = http.get(operation.path.format(**ids), params=query)
        assert answer.status_code == 200, f"{operation.name}: {answer.text}"
        return answer.text


def here_alone(host: str, port: int) -> list[str]:
    """Resolve the names of no other machines: nothing is to leave this one."""
    if host != "127.0.0.1":
        raise PlatformError(f"{host}:{port} is no machine")
    return [host]


@pytest.fixture
def world(make_site: MakeSite, book: Book, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(connections, "addresses_of", here_alone)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    provider = Provider()
    provider.headers = [(b"content-type", b"application/json")]
    provider.pieces = [b"{}"]
    with Live(provider) as upstream, BraintrustPlace() as braintrust:
        braintrust.events[0] = [{**row, "root_span_id": "trace-theirs"} for row in braintrust.events[0]]
        site = make_site(
            anthropic_url=upstream.url,
            openai_url=upstream.url,
            requests_per_s=1_000_000,
            allow_private_hosts=True,
        )
        watch = Watch(site.app)
        with site.state.worker, Live(watch) as live:
            yield World(book, live.url, watch, braintrust.url)


def checks_of(operation: Operation) -> dict[str, dict[str, object]]:
    """What schemathesis is to know of an operation that the document cannot say."""
    more = [*REFUSED.get(operation.name, ())]
    checks: dict[str, dict[str, object]] = {}
    if asks_elsewhere(operation):
        # It is not set up, or nobody answers.
        more.append("422")
        checks["not_a_server_error"] = {"expected-statuses": ["2xx", "3xx", "4xx", "502"]}
    if more:
        checks["positive_data_acceptance"] = {"expected-statuses": [*TAKEN, "5xx", *more]}
    if operation.path in DEEPER:
        checks["negative_data_rejection"] = {"enabled": False}
    return checks


def deeper(url: str) -> dict[str, Any]:
    """The server's document, with more about the bodies that it says little of."""
    document: dict[str, Any] = httpx.get(f"{url}/openapi.json").json()
    for path, model in DEEPER.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= schema.pop("$defs", {})
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"] = schema
    return document


def ask(
    world: World, key: str, header: str, phases: Mapping[str, object] | None = None, *, hunting: bool = False
) -> list[str]:
    """Ask with a key; return what schemathesis found.

    Args:
        world: The server.
        key: The name of the key.
        header: Where it goes, by its name in the document.
        phases: As in schemathesis's configuration.
        hunting: Name the ids of the other workspace wherever one is to be named.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Else pytest would rewrite the assertions of its 270 modules, which costs seconds.
        patch.setattr(sys, "meta_path", [PathFinder, *sys.meta_path])
        import schemathesis
        from schemathesis import engine
        from schemathesis.config import SchemathesisConfig
        from schemathesis.engine import events

    most = EXAMPLES if phases is None else (EXAMPLES + 1) // 2
    secret = world.keys[key]
    usual = {"bearer" if header == "bearer" else "api_key": secret}
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": world.url,
            "auth": {"openapi": {header: usual, "x-kaizen-key": {"api_key": secret}}},
            "generation": {"max-examples": most, "deterministic": True, "database": "none"},
            "phases": dict(phases or {}),
            "operations": [{"include-name": row.name, "checks": checks_of(row)} for row in OPERATIONS],
        }
    )
    schema = schemathesis.openapi.from_dict(deeper(world.url), config=config)
    if hunting:

        def named(value: Any) -> Any:
            if isinstance(value, list):
                return [named(item) for item in value]
            if not isinstance(value, dict):
                return value
            return {name: of_theirs(name, item) for name, item in value.items()}

        def of_theirs(name: str, item: Any) -> Any:
            if name not in IDS:
                return named(item)
            given = world.theirs[IDS[name]]
            return [given] if name.endswith("s") else given

        def in_path(value: dict[str, Any] | None) -> dict[str, Any] | None:
            return value and {name: WORDS.get(name) or of_theirs(name, item) for name, item in value.items()}

        schema.hook("map_path_parameters")(lambda _context, value: in_path(value))
        for part in ("query", "body"):
            schema.hook(f"map_{part}")(lambda _context, value: named(value))
    found = []
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            for check in (check for checks in event.recorder.checks.values() for check in checks):
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    found.append(f"{check.failure_info.code_sample}\n{failure.title}\n{failure.message}")
    return found


def test_a_key_that_may_do_everything(world: World) -> None:
    world.assert_nothing_found(ask(world, "all", "bearer"))


@pytest.mark.parametrize("key", ["reads", "writes", "rules"])
def test_a_key_that_may_do_one_thing(world: World, key: str) -> None:
    world.assert_nothing_found(ask(world, key, "x-api-key", ONE_ROUND))


def test_the_ids_of_another_workspace(world: World) -> None:
    world.assert_nothing_found(ask(world, "all", "bearer", ONE_ROUND, hunting=True))
