"""Runs and their spans at Kate: in batches, within the rate, scored, nothing there twice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.config.document import BackendsConfig, KateConfig
from pytest_kaizen.errors import ConfigError, KateError
from pytest_kaizen.models import CIContext
from pytest_kaizen.pipeline.upload import BACKENDS, Fate, Shipment, fate_of, open_backend
from pytest_kaizen.pipeline.upload.kate import KateBackend
from pytest_kaizen.platforms import kate as wire

if TYPE_CHECKING:
    from tests.pipeline.upload.conftest import Platform, Refused, Route, Serve, Story

KINDS = BACKENDS["kate"].kinds
RUN = "/agents/support-bot_1/runs/([^/]*)"
SPANS = "POST .*/spans$"
BODIES = Path(__file__).parents[2] / "golden" / "kate" / "bodies.json"
#: What the spans of the whole story say, in order.
INPUTS = [text for case in "abc" for _ in range(2) for text in (f'{{"ticket": "{case}"}}', f"ticket {case}")]


class Kate:
    """Appends the spans of runs and gives a score after some reads."""

    def __init__(self, platform: type[Platform], route: type[Route], refused: type[Refused]) -> None:
        self.refused = refused
        self.runs: dict[str, wire.Run] = {}
        self.spans: dict[str, list[wire.NewSpan]] = {}
        self.reads_until_scored = 0
        span = json.loads(BODIES.read_text(encoding="utf-8"))["NewSpan"]
        self.app = platform(
            "kate",
            [
                route("POST", "/agents/support-bot_1/runs", "runs.create", self.create, wire.RunCreate),
                route("GET", RUN, "runs.get", self.get),
                route("POST", f"{RUN}/complete", "runs.complete", self.complete),
                route("GET", f"{RUN}/spans", "runs.spans", self.read),
                route(
                    "POST", f"{RUN}/spans", "runs.upload_spans", self.add, wire.SpanUpload, {"spans": [span]}
                ),
            ],
        )

    def create(self, request: wire.RunCreate) -> wire.Run:
        run = wire.Run.model_validate(
            {
                "id": str(request.run_id),
                "agent_id": "support-bot_1",
                "status": "running",
                "trigger": request.trigger,
                "created_at": "2026-03-30T10:00:00Z",
            }
        )
        if run.id in self.runs:
            raise self.refused(409)
        self.runs[run.id], self.spans[run.id] = run, []
        return run

    def get(self, run_id: str) -> wire.Run:
        run = self.runs.get(run_id)
        if run is None:
            raise self.refused(404)
        if run.status == "completed":
            self.reads_until_scored -= 1
            if self.reads_until_scored <= 0:
                run = self.runs[run_id] = run.model_copy(update={"overall_score": 0.78})
        return run

    def complete(self, run_id: str) -> wire.Run:
        if self.runs[run_id].status == "completed":
            raise self.refused(409)
        self.runs[run_id] = self.runs[run_id].model_copy(update={"status": "completed"})
        return self.runs[run_id]

    def read(self, run_id: str) -> wire.SpanList:
        spans = [wire.Span.model_validate(span.model_dump()) for span in self.spans[run_id]]
        return wire.SpanList(spans=spans, total=len(spans))

    def add(self, run_id: str, request: wire.SpanUpload) -> wire.SpansUploaded:
        if self.runs[run_id].status != "running":
            raise self.refused(409)
        self.spans[run_id] += request.spans
        ids = [str(UUID(int=number)) for number in range(len(request.spans))]
        return wire.SpansUploaded(uploaded=len(ids), span_ids=ids)

    @property
    def inputs(self) -> list[str | None]:
        (spans,) = self.spans.values()
        return [span.input_text for span in spans]


@pytest.fixture
def kate(
    platform: type[Platform],
    route: type[Route],
    refused: type[Refused],
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> Kate:
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._READ_S", 0.01)
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._POLL_S", 0.01)
    fake = Kate(platform, route, refused)
    serve(fake.app)
    return fake


@pytest.fixture
def connect(kate: Kate, tmp_path: Path) -> Any:
    settings = BackendsConfig(kate=KateConfig(url=kate.app.url, agent="support-bot_1"))
    config = Config(root=tmp_path, store=tmp_path, backends=settings)

    def connected() -> KateBackend:
        backend = open_backend("kate", config, {"KATE_API_KEY": "kate-key"})
        assert isinstance(backend, KateBackend)
        return backend

    return connected


@pytest.mark.asyncio
async def test_a_run(kate: Kate, connect: Any, story: Story) -> None:
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=3)
    await backend.follow(story.remote, story.said.append)
    await backend.aclose()
    (run,) = kate.runs.values()
    assert (run.trigger, run.status) == ("test", "completed")
    assert kate.inputs == INPUTS
    whole, call = kate.spans[run.id][4:6]
    assert whole.to_json() == {
        "node_name": "test_b",
        "span_kind": "CHAIN",
        "input_text": '{"ticket": "b"}',
        "output_text": "done",
        "error": "AssertionError: rude",
    }
    assert (call.span_kind, call.model, call.token_count, call.latency_ms) == ("LLM", "m-1", 12, 120.5)
    assert kate.app.asked(SPANS) == 3
    assert kate.app.asked("GET .*/spans$") == 0
    assert story.said == [f"kate: run {run.id}: overall score 0.78"]


def test_a_session(kate: Kate, session: Any) -> None:
    backends = {"kate": {"url": kate.app.url, "agent": "support-bot_1"}}
    lines, _ = session(backends, KATE_API_KEY="kate-key")
    (run,) = kate.runs.values()
    assert (run.trigger, run.status) == ("test", "completed")
    assert [(span.node_name, span.output_text) for span in kate.spans[run.id]] == [
        ("test_it[login]", "about login ```"),
        ("test_it[refund]", "about refund ```"),
    ]
    assert lines == [f"kaizen: kate: run {run.id}: overall score 0.78", "kaizen: kate: 4 sent"]


@pytest.mark.parametrize(("provider", "trigger"), [("github", "automatic"), ("local", "test")])
@pytest.mark.asyncio
async def test_triggers(kate: Kate, connect: Any, story: Story, provider: Any, trigger: str) -> None:
    story.run = story.run.model_copy(update={"ci": CIContext(provider=provider)})
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS)[:1])
    await backend.aclose()
    assert [run.trigger for run in kate.runs.values()] == [trigger]


@pytest.mark.asyncio
async def test_a_score_that_takes_its_time(kate: Kate, connect: Any, story: Story) -> None:
    kate.reads_until_scored = 10
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS))
    (run,) = kate.runs
    assert story.said == [f"kate: run {run} completed, not scored yet"]
    await backend.follow(story.remote, story.said.append)
    await backend.aclose()
    assert story.said[1:] == [f"kate: run {run}: overall score 0.78"]


@pytest.mark.parametrize("fault", ["lost", 503, 429])
@pytest.mark.parametrize("broken", [SPANS, "POST .*/runs$", "POST .*/complete$"])
@pytest.mark.asyncio
async def test_a_break_in_the_middle(
    kate: Kate,
    connect: Any,
    story: Story,
    broken: str,
    fault: str | int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._MOST_SPANS", 3)
    kate.app.faults = [(broken, fault)]
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=4)
    await backend.aclose()
    assert kate.app.faults == []
    assert [run.status for run in kate.runs.values()] == ["completed"]
    assert kate.inputs == INPUTS


@pytest.mark.parametrize("most", [1, 5])
@pytest.mark.asyncio
async def test_breaks_everywhere(
    kate: Kate, connect: Any, story: Story, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """An answer is lost, that of the next attempt too, and the third is refused; also within a sample."""
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._MOST_SPANS", most)
    kate.app.faults = [(SPANS, "lost"), (SPANS, "lost"), (SPANS, 503)]
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=8)
    await backend.aclose()
    assert kate.inputs == INPUTS
    assert story.remote["spans"] == len(INPUTS)


@pytest.mark.asyncio
async def test_a_refused_sample_takes_no_part_of_another_with_it(
    kate: Kate, connect: Any, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._MOST_SPANS", 3)
    kate.app.faults = [(SPANS, 422)]
    parcels = story.parcels(KINDS)
    backend = connect()
    with pytest.raises(KateError):
        await story.deliver(backend, parcels[:2])
    await story.deliver(backend, parcels[2:])
    await backend.aclose()
    assert kate.inputs == INPUTS[2:]


@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.asyncio
async def test_a_process_that_was_killed(kate: Kate, connect: Any, story: Story, size: int) -> None:
    parcels = story.parcels(KINDS)
    killed = connect()
    await story.die(killed, parcels[:5])
    await killed.aclose()
    assert kate.inputs == INPUTS[:8]
    backend = connect()
    await story.deliver(backend, parcels, size=size)
    await backend.aclose()
    assert kate.inputs == INPUTS
    assert len(kate.runs) == 1


@pytest.mark.asyncio
async def test_a_killed_process_goes_on_from_what_was_kept(kate: Kate, connect: Any, story: Story) -> None:
    parcels = story.parcels(KINDS)
    for part in (parcels[:3], parcels[3:5], parcels[5:]):
        backend = connect()
        await story.deliver(backend, part)
        await backend.aclose()
    assert kate.inputs == INPUTS


@pytest.mark.parametrize(("limit", "requests"), [(40, 6), (80, 3)])
@pytest.mark.asyncio
async def test_requests_have_a_size(
    kate: Kate, connect: Any, story: Story, monkeypatch: pytest.MonkeyPatch, limit: int, requests: int
) -> None:
    """A sample's texts have 15 characters, ``done``, 8 and ``done``."""
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kate._MOST_CHARACTERS", limit)
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert kate.app.asked(SPANS) == requests
    assert kate.inputs == INPUTS


@pytest.mark.asyncio
async def test_no_more_requests_than_are_allowed(
    kate: Kate, connect: Any, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_MOST_SPANS": 5, "_REQUESTS_A_MINUTE": 2, "_MINUTE_S": 0.3}.items():
        monkeypatch.setattr(f"pytest_kaizen.pipeline.upload.kate.{name}", value)
    backend = connect()
    begun = time.monotonic()
    await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert kate.app.asked(SPANS) == 3
    assert time.monotonic() - begun >= 0.3


@pytest.mark.asyncio
async def test_spans_for_a_completed_run_are_refused(connect: Any, story: Story) -> None:
    parcels = story.parcels(KINDS)
    backend = connect()
    await story.deliver(backend, [parcels[0], parcels[-1]])
    with pytest.raises(KateError) as error:
        await backend.send(Shipment(parcels[1:2], story.remote, print))
    await backend.aclose()
    assert fate_of(error.value) is Fate.REFUSED


def test_an_agent_is_needed_and_tls_for_other_machines(tmp_path: Path) -> None:
    env = {"KATE_API_KEY": "k"}
    with pytest.raises(
        ConfigError, match=r"backend 'kate': no agent: set backends\.kate\.agent in kaizen\.yaml"
    ):
        open_backend("kate", Config(root=tmp_path, store=tmp_path), env)
    plain = BackendsConfig(kate=KateConfig(url="http://kate.test", agent="a"))
    with pytest.raises(ConfigError, match="would carry the key in the clear"):
        open_backend("kate", Config(root=tmp_path, store=tmp_path, backends=plain), env)
