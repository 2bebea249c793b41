"""Servers that a suite uploads to: a Kaizen CT made from the wire models, and a collector."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from pytest_kaizen.platforms import kaizen_ct

NOW = datetime(2026, 3, 1, tzinfo=UTC)
#: The upload timeout where a test says nothing: everything arrives, however busy the machine is.
PATIENCE_S = "120"


class Call(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Server:
    """An HTTP server on a loopback socket; a subclass answers.

    Attributes:
        requests: What arrived, in order.
        down: The status that is answered to everything, if any.
        holds: Whether answers are held back now.
    """

    def __init__(self) -> None:
        self.requests: list[Call] = []
        self.down: int | None = None
        self.holds: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def text(self) -> str:
        """Everything that arrived."""
        return json.dumps(self.requests)

    def close(self) -> None:
        self.holds = lambda: False
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def answer(self, call: Call) -> tuple[int, Any]:
        raise KeyError(call.path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(content) if content else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(self.command, self.path, headers, body)
                with server._lock:
                    server.requests.append(call)
                    if server.down is not None:
                        status, answer = server.down, {"title": "down", "detail": "come back later"}
                    else:
                        status, answer = server.answer(call)
                while server.holds():
                    time.sleep(0.01)
                if status == 0:
                    self.close_connection = True
                    return
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST  # noqa: N815 - the base class asks for these names

            def log_message(self, *_: Any) -> None:
                return

        return Handler


class FakeCT(Server):
    """Kaizen CT, with what of it an upload needs; it honours ``Idempotency-Key``.

    Attributes:
        tasks, feedback, jobs: What was made, in order.
        prompt: The text of the active prompt of every task; None: there is none.
        statuses: What a job answers, one after the other.
        better: The text that an optimisation ends with, as the active prompt.
        refuse: Outputs of feedback that are refused as invalid.
        lose_answers: How many answers to feedback are lost on their way.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, kaizen_ct.Task] = {}
        self.feedback: list[kaizen_ct.FeedbackCreate] = []
        self.jobs: list[kaizen_ct.Job] = []
        self.prompt: str | None = None
        self.version = 1
        self.statuses = ["RUNNING", "SUCCESS"]
        self.better: str | None = None
        self.refuse: set[str] = set()
        self.lose_answers = 0
        self._answered: dict[str, tuple[int, Any]] = {}
        super().__init__()

    def answer(self, call: Call) -> tuple[int, Any]:
        if call.headers.get("x-api-key") != "ct-key":
            return 401, {"title": "unauthorized", "detail": "unknown key"}
        key = call.headers.get("idempotency-key", "")
        if key not in self._answered:
            path = call.path.partition("?")[0]
            place, _, rest = path.removeprefix("/api/v1/").partition("/")
            status, found = getattr(self, f"_{call.method.lower()}_{place}")(rest, call.body)
            answer = (status, found if isinstance(found, dict | list) else found.to_json())
            if call.method == "GET" or status >= 400:
                return answer
            self._answered[key] = answer
            if place == "feedback" and self.lose_answers:
                self.lose_answers -= 1
                return 0, None
        return self._answered[key]

    def know(self, name: str) -> None:
        """Let there be a task of this name."""
        self.tasks[name] = kaizen_ct.Task(id=uuid4(), name=name, feedback_threshold=50, created_at=NOW)

    def _get_tasks(self, _: str, __: Any) -> tuple[int, Any]:
        return 200, kaizen_ct.TaskList(list(self.tasks.values()))

    def _post_tasks(self, _: str, body: Any) -> tuple[int, Any]:
        asked = kaizen_ct.TaskCreate.model_validate(body)
        task = kaizen_ct.Task(
            id=uuid4(), name=asked.name, feedback_threshold=asked.feedback_threshold or 50, created_at=NOW
        )
        self.tasks[asked.name] = task
        return 201, task

    def _post_feedback(self, _: str, body: Any) -> tuple[int, Any]:
        asked = kaizen_ct.FeedbackCreate.model_validate(body)
        if asked.output in self.refuse:
            return 422, {"title": "invalid", "detail": "this output is not wanted"}
        self.feedback.append(asked)
        assert asked.task_id is not None
        return 201, kaizen_ct.FeedbackResult(id=uuid4(), task_id=UUID(asked.task_id), created_at=NOW)

    def _post_optimize(self, task_id: str, _: Any) -> tuple[int, Any]:
        if not self.feedback:
            return 400, {"title": "no feedback", "detail": "there is no feedback to learn from"}
        job = kaizen_ct.Job(id=uuid4(), task_id=UUID(task_id), status="PENDING", created_at=NOW)
        self.jobs.append(job)
        estimate = kaizen_ct.CostEstimate(
            estimated_cost_usd=1.25,
            estimated_llm_calls=240,
            train_size=9,
            val_size=3,
            max_trials=8,
            teacher_model="teacher",
            judge_model="judge",
        )
        warning = "estimated $1.25 exceeds the budget of $1.00"
        return 200, kaizen_ct.OptimizeResult(job=job, cost_estimate=estimate, budget_warning=warning)

    def _get_jobs(self, job_id: str, _: Any) -> tuple[int, Any]:
        (job,) = (job for job in self.jobs if str(job.id) == job_id)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        changes: dict[str, Any] = {"status": status, "progress_step": f"step of {status}"}
        if status == "SUCCESS" and self.better is not None:
            changes["prompt_version_id"] = uuid4()
            self.prompt, self.better, self.version = self.better, None, self.version + 1
        return 200, job.model_copy(update=changes)

    def _get_prompts(self, task_id: str, _: Any) -> tuple[int, Any]:
        if self.prompt is None:
            return 404, {"title": "not found", "detail": "no active prompt"}
        task = next((task.id for task in self.tasks.values() if str(task.id) == task_id), uuid4())
        return 200, kaizen_ct.Prompt(
            id=uuid4(),
            task_id=task,
            version_number=self.version,
            prompt_text=self.prompt,
            status="active",
            created_at=NOW,
        )


class Collector(Server):
    """An OpenTelemetry collector.

    Attributes:
        spans: The spans that arrived.
        answers: What it answers next, instead of nothing.
    """

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Any]] = []
        super().__init__()

    def answer(self, call: Call) -> tuple[int, Any]:
        assert (call.method, call.path) == ("POST", "/v1/traces")
        status, answer = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            self.spans += [
                span
                for resource in call.body["resourceSpans"]
                for scope in resource["scopeSpans"]
                for span in scope["spans"]
            ]
        return status, answer


@pytest.fixture
def serve() -> Iterator[Callable[[type[Server]], Any]]:
    servers: list[Server] = []

    def start(kind: type[Server]) -> Server:
        servers.append(kind())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def ct(serve: Callable[[type[Server]], Any], monkeypatch: pytest.MonkeyPatch) -> FakeCT:
    server: FakeCT = serve(FakeCT)
    monkeypatch.setenv("KAIZEN_UPLOAD_TIMEOUT", PATIENCE_S)
    monkeypatch.setenv("KAIZEN_API_KEY", "ct-key")
    monkeypatch.setenv("KAIZEN_BASE_URL", server.url)
    return server


@pytest.fixture
def collector(serve: Callable[[type[Server]], Any], monkeypatch: pytest.MonkeyPatch) -> Collector:
    server: Collector = serve(Collector)
    monkeypatch.setenv("KAIZEN_UPLOAD_TIMEOUT", PATIENCE_S)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    return server


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the CI system that these tests run on."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
