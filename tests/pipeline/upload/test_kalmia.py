"""Samples and runs at Kalmia: traces in an experiment, thumbs down with reasons, nothing there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.config.document import BackendsConfig, KalmiaConfig
from pytest_kaizen.errors import ConfigError, KalmiaError
from pytest_kaizen.models import CIContext, Run
from pytest_kaizen.pipeline.upload import BACKENDS, Fate, Shipment, fate_of, open_backend
from pytest_kaizen.pipeline.upload.traces import KalmiaBackend, experiment_name
from pytest_kaizen.platforms import kalmia as wire

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.upload.conftest import Platform, Route, Serve, Story

KINDS = BACKENDS["kalmia"].kinds
SAMPLES = ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1"]


class Kalmia:
    """Merges traces by their ids and makes an experiment each time it is asked to."""

    def __init__(self, platform: type[Platform], route: type[Route]) -> None:
        self.traces: dict[str, wire.KalmiaTrace] = {}
        self.feedback: dict[str, wire.FeedbackRequest] = {}
        self.experiments: list[wire.Experiment] = []
        self.rejects: set[str] = set()
        self.app = platform(
            "kalmia",
            [
                route("POST", "/api/v1/traces/ingest", "ingest", self.ingest, wire.IngestBatch),
                route(
                    "POST", "/api/v1/traces/(.*)/feedback", "submit_feedback", self.rate, wire.FeedbackRequest
                ),
                route("GET", "/api/experiments", "list_experiments", self.list),
                route("POST", "/api/experiments", "create_experiment", self.create, wire.ExperimentCreate),
            ],
        )

    def ingest(self, batch: wire.IngestBatch) -> wire.IngestResult:
        stored = [trace for trace in batch.root if trace.id not in self.rejects]
        self.traces.update({trace.id: trace for trace in stored})
        rejected = [
            wire.Rejected(id=trace.id, reason="too odd") for trace in batch.root if trace.id in self.rejects
        ]
        return wire.IngestResult(rejected=rejected)

    def rate(self, trace_id: str, request: wire.FeedbackRequest) -> wire.Acknowledged:
        self.feedback[trace_id] = request
        return wire.Acknowledged()

    def list(self) -> wire.ExperimentList:
        return wire.ExperimentList(experiments=self.experiments)

    def create(self, request: wire.ExperimentCreate) -> wire.Experiment:
        made = wire.Experiment.model_validate(
            {
                "id": f"exp-{len(self.experiments)}",
                "name": request.name,
                "correlationIds": request.correlation_ids,
                "createdAt": "2026-03-30T10:00:00Z",
            }
        )
        self.experiments.append(made)
        return made


@pytest.fixture
def kalmia(platform: type[Platform], route: type[Route], serve: Serve) -> Kalmia:
    fake = Kalmia(platform, route)
    serve(fake.app)
    return fake


@pytest.fixture
def connect(kalmia: Kalmia, tmp_path: Path) -> Any:
    settings = BackendsConfig(kalmia=KalmiaConfig(project="bot"))
    config = Config(root=tmp_path, store=tmp_path, backends=settings)

    def connected() -> KalmiaBackend:
        env = {"KALMIA_API_KEY": "kal_live_key", "KALMIA_BASE_URL": kalmia.app.url}
        backend = open_backend("kalmia", config, env)
        assert isinstance(backend, KalmiaBackend)
        return backend

    return connected


@pytest.mark.asyncio
async def test_a_run(kalmia: Kalmia, connect: Any, story: Story) -> None:
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=4)
    await backend.aclose()
    (experiment,) = kalmia.experiments
    assert (experiment.name, experiment.correlation_ids) == ("main @ 0123456789ab", ["run-1"])
    assert list(kalmia.traces) == SAMPLES
    trace = kalmia.traces["b-0"]
    assert trace.project_id == "bot"
    assert (trace.metadata or {})["correlationId"] == "run-1"
    root, call = trace.spans
    assert (root.scores, root.input) == ({"polite": 0.0}, {"ticket": "b"})
    assert (call.id, call.name, call.span_parents) == ("b-0-span", "anthropic chat", ["b-0"])
    said = wire.FeedbackRequest(rating="down", comment="AssertionError: rude\npolite: a reason")
    assert kalmia.feedback == {"b-0": said, "b-1": said}
    assert story.said == ["kalmia: experiment 'main @ 0123456789ab': exp-0"]


def test_a_session(kalmia: Kalmia, session: Any) -> None:
    backends = {"kalmia": {"url": kalmia.app.url, "project": "bot"}}
    lines, traces = session(backends, KALMIA_API_KEY="kal_live_key")
    assert set(kalmia.traces) == set(traces.values())
    (experiment,) = kalmia.experiments
    runs = {(trace.metadata or {})["correlationId"] for trace in kalmia.traces.values()}
    assert runs == set(experiment.correlation_ids)
    scores = kalmia.traces[traces["refund"]].spans[0].scores
    assert scores == {"polite": 0.5}
    assert lines == [
        f"kaizen: kalmia: experiment '{experiment.name}': exp-0",
        "kaizen: kalmia: 3 sent",
    ]


@pytest.mark.parametrize(("broken", "times"), [("ingest", 4), ("feedback", 4), ("POST /api/experiments", 1)])
@pytest.mark.asyncio
async def test_an_answer_that_was_lost(
    kalmia: Kalmia, connect: Any, story: Story, broken: str, times: int
) -> None:
    kalmia.app.faults = [(broken, "lost")] * times
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=4)
    await backend.aclose()
    assert kalmia.app.faults == []
    assert list(kalmia.traces) == SAMPLES
    assert set(kalmia.feedback) == {"b-0", "b-1"}
    assert len(kalmia.experiments) == 1


@pytest.mark.asyncio
async def test_a_list_in_another_form_holds_nothing_up(kalmia: Kalmia, connect: Any, story: Story) -> None:
    kalmia.app.faults = [("GET /api/experiments", 200)]
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert (len(kalmia.experiments), list(kalmia.traces)) == (1, SAMPLES)


@pytest.mark.asyncio
async def test_a_list_that_is_refused_is_an_error(kalmia: Kalmia, connect: Any, story: Story) -> None:
    kalmia.app.faults = [("GET /api/experiments", 403)]
    backend = connect()
    with pytest.raises(KalmiaError, match="403"):
        await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert kalmia.experiments == []


@pytest.mark.asyncio
async def test_a_process_that_was_killed(kalmia: Kalmia, connect: Any, story: Story) -> None:
    parcels = story.parcels(KINDS)
    killed = connect()
    await story.die(killed, parcels[:4])
    await killed.aclose()
    assert (len(kalmia.experiments), len(kalmia.traces)) == (1, 3)
    backend = connect()
    await story.deliver(backend, parcels)
    await backend.aclose()
    assert (len(kalmia.experiments), list(kalmia.traces)) == (1, SAMPLES)


@pytest.mark.asyncio
async def test_a_rejected_trace_holds_nobody_up(kalmia: Kalmia, connect: Any, story: Story) -> None:
    kalmia.rejects = {"a-1"}
    backend = connect()
    shipment = Shipment(story.parcels(KINDS), {}, print)
    with pytest.raises(KalmiaError, match="Kalmia did not store 1 of 6 traces: too odd") as error:
        await backend.send(shipment)
    await backend.aclose()
    assert fate_of(error.value) is Fate.REFUSED
    assert [parcel.key for parcel in shipment.rest] == ["a-1"]
    assert sorted(kalmia.feedback) == ["b-0", "b-1"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"branch": "main", "revision": "0123456789abcdef"}, "main @ 0123456789ab"),
        ({"ci": CIContext(provider="local", branch="main", dirty=True)}, "main, with local changes"),
        (
            {
                "revision": "merged",
                "ci": CIContext(
                    provider="github", branch="fix", revision="0123456789abcdef", pull_request="7"
                ),
            },
            "fix @ 0123456789ab, pull request 7",
        ),
        ({}, "run run-1"),
    ],
)
def test_names_of_experiments(story: Story, fields: dict[str, Any], name: str) -> None:
    assert experiment_name(Run(id="run-1", created_at=story.run.created_at, **fields)) == name


def test_the_project_is_the_folder_and_the_server_the_hosted_one(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    backend = open_backend("kalmia", Config(root=folder, store=tmp_path), {"KALMIA_API_KEY": "k"})
    assert isinstance(backend, KalmiaBackend)
    assert backend.project == "shop"
    assert backend.url == "https://www.kalmia.dev"
    with pytest.raises(ConfigError, match="backend 'kalmia': no key: set KALMIA_API_KEY"):
        open_backend("kalmia", Config(root=folder, store=tmp_path), {})
