"""Finished cases at Kayba: files for people, insights of what failed, nothing there twice."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.config.document import BackendsConfig, KaybaConfig
from pytest_kaizen.errors import ConfigError, KaybaAPIError
from pytest_kaizen.models import ParcelKind
from pytest_kaizen.pipeline.upload import BACKENDS, Parcel, Shipment, open_backend
from pytest_kaizen.pipeline.upload.kayba import KaybaBackend
from pytest_kaizen.platforms import kayba as wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline.upload.conftest import Platform, Route, Serve, Story

KINDS = BACKENDS["kayba"].kinds
UPLOAD = "POST /api/traces$"


class Kayba:
    """Keeps files, also of the same name, and begins jobs."""

    def __init__(self, platform: type[Platform], route: type[Route]) -> None:
        self.files: list[wire.NewTrace] = []
        self.asked: list[wire.GenerateInsights] = []
        self.polls = 0
        self.when_asked: Callable[[], object] = lambda: None
        self.app = platform(
            "kayba",
            [
                route("GET", "/api/traces", "list_traces", self.list),
                route("POST", "/api/traces", "upload_traces", self.upload, wire.UploadRequest),
                route(
                    "POST",
                    "/api/insights/generate",
                    "generate_insights",
                    self.generate,
                    wire.GenerateInsights,
                ),
                route("GET", "/api/jobs/(.*)", "get_job", self.job),
            ],
        )

    def meta(self, number: int) -> wire.TraceMeta:
        file = self.files[number]
        return wire.TraceMeta(
            id=f"conv-{number}",
            filename=file.filename,
            file_type=file.file_type,
            size=len(file.content.encode()),
            uploaded_at="2026-03-30T10:00:00Z",
        )

    def list(self) -> wire.TraceMetas:
        return wire.TraceMetas(traces=[self.meta(number) for number in range(len(self.files))])

    def upload(self, request: wire.UploadRequest) -> wire.Uploaded:
        first = len(self.files)
        self.files += request.traces
        traces = [self.meta(number) for number in range(first, len(self.files))]
        return wire.Uploaded(count=len(traces), traces=traces)

    def generate(self, request: wire.GenerateInsights) -> wire.JobStarted:
        self.asked.append(request)
        self.when_asked()
        return wire.JobStarted(job_id=f"job-{len(self.asked)}")

    def job(self, job_id: str) -> wire.Job:
        self.polls += 1
        if self.polls == 1:
            return wire.Job(job_id=job_id, status="running")
        return wire.Job(job_id=job_id, status="completed", result=wire.JobResult(skills_generated=3))

    @property
    def names(self) -> Any:
        return [file.filename for file in self.files]


@pytest.fixture
def kayba(platform: type[Platform], route: type[Route], serve: Serve) -> Kayba:
    fake = Kayba(platform, route)
    serve(fake.app)
    return fake


@pytest.fixture
def connect(kayba: Kayba, tmp_path: Path) -> Any:
    settings = BackendsConfig(kayba=KaybaConfig(url=f"{kayba.app.url}/api", key_env="MY_KEY"))

    def connected() -> KaybaBackend:
        backend = open_backend(
            "kayba", Config(root=tmp_path, store=tmp_path, backends=settings), {"MY_KEY": "kayba-key"}
        )
        assert isinstance(backend, KaybaBackend)
        return backend

    return connected


@pytest.mark.asyncio
async def test_a_run(kayba: Kayba, connect: Any, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_kaizen.pipeline.upload.kayba._POLL_S", 0.01)
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=2)
    assert kayba.names == ["a-0.md", "b-0.md", "c-0.md"]
    assert kayba.files[1].file_type == "md"
    assert kayba.files[1].content.startswith(
        "# `b`\n\n- task: `support`\n- outcome: `failed`\n- branch: `main`\n"
    )
    assert kayba.files[1].content.count("polite: 0.00 (check): a reason") == 2
    assert [request.trace_ids for request in kayba.asked] == [["conv-1"]]
    assert kayba.app.asked("GET /api/traces$") == 2
    assert story.said == ["kayba: insights asked for, from 1 failing case of support: job-1"]
    await backend.follow(story.remote, story.said.append)
    await backend.aclose()
    assert story.said[1:] == ["kayba: job job-1 completed: 3 insights, waiting for triage"]


def test_a_session(kayba: Kayba, session: Any) -> None:
    backends = {"kayba": {"url": f"{kayba.app.url}/api"}}
    lines, traces = session(backends, "--kaizen-optimize=propose", "--kaizen-wait", KAYBA_API_KEY="kayba-key")
    assert sorted(kayba.names) == sorted(f"{trace_id}.md" for trace_id in traces.values())
    place = kayba.names.index(f"{traces['refund']}.md")
    failing = kayba.files[place].content
    assert "\nfail: polite 0.50 [0.05, 0.95] >= 0.80" in failing
    assert "\n````text\nabout refund ```\n````\n" in failing
    assert [request.trace_ids for request in kayba.asked] == [[f"conv-{place}"]]
    assert lines == [
        "kaizen: kayba: insights asked for, from 1 failing case of support: job-1",
        "kaizen: kayba: 3 sent",
        "kaizen: kayba: job job-1 completed: 3 insights, waiting for triage",
    ]


@pytest.mark.asyncio
async def test_nothing_is_asked_for_that_nobody_wants_to_pay(
    kayba: Kayba, connect: Any, story: Story
) -> None:
    story.weak = ()
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS))
    await backend.follow(story.remote, story.said.append)
    await backend.aclose()
    assert (len(kayba.files), kayba.asked, story.said) == (3, [], [])


@pytest.mark.asyncio
async def test_an_upload_whose_answer_was_lost(kayba: Kayba, connect: Any, story: Story) -> None:
    kayba.app.faults = [(UPLOAD, "lost"), (UPLOAD, 503)]
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS), size=2)
    await backend.aclose()
    assert kayba.names == ["a-0.md", "b-0.md", "c-0.md"]
    assert kayba.asked[0].trace_ids == ["conv-1"]


@pytest.mark.asyncio
async def test_a_process_that_was_killed(kayba: Kayba, connect: Any, story: Story) -> None:
    parcels = story.parcels(KINDS)
    killed = connect()
    await story.die(killed, parcels[:2])
    await killed.aclose()
    assert kayba.names == ["a-0.md", "b-0.md"]
    backend = connect()
    await story.deliver(backend, parcels)
    await backend.aclose()
    assert kayba.names == ["a-0.md", "b-0.md", "c-0.md"]
    assert kayba.asked[0].trace_ids == ["conv-1"]


@pytest.mark.parametrize(("fault", "jobs"), [("lost", 1), (504, 0), (429, 1)])
@pytest.mark.asyncio
async def test_insights_are_paid_for_once(
    kayba: Kayba, connect: Any, story: Story, fault: str | int, jobs: int
) -> None:
    kayba.app.faults = [("insights", fault)] * (3 if fault == 429 else 1)
    backend = connect()
    await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert len(kayba.asked) == jobs
    known = fault == 429
    assert story.said == [
        "kayba: insights asked for, from 1 failing case of support: job-1"
        if known
        else "kayba: insights for support may be under way; they are not asked for again"
    ]


@pytest.mark.asyncio
async def test_a_session_that_ends_while_it_asks(kayba: Kayba, connect: Any, story: Story) -> None:
    loop, arrived, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wait() -> None:
        loop.call_soon_threadsafe(arrived.set)
        released.wait(10)

    kayba.when_asked = wait
    backend = connect()
    *cases, end = story.parcels(KINDS)
    await story.deliver(backend, cases)
    asking = asyncio.create_task(backend.send(Shipment([end], story.remote, story.said.append)))
    await arrived.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    released.set()
    await story.deliver(backend, [end])
    await backend.aclose()
    assert len(kayba.asked) == 1


@pytest.mark.asyncio
async def test_a_server_that_is_down_at_the_end_is_asked_later(
    kayba: Kayba, connect: Any, story: Story
) -> None:
    backend = connect()
    *cases, end = story.parcels(KINDS)
    await story.deliver(backend, cases)
    kayba.app.faults = [("GET /api/traces", 503)] * 3
    await story.deliver(backend, [end])
    await backend.aclose()
    assert len(kayba.asked) == 1


@pytest.mark.asyncio
async def test_a_refusal_is_an_error(kayba: Kayba, connect: Any, story: Story) -> None:
    kayba.app.faults = [(UPLOAD, 413)]
    backend = connect()
    with pytest.raises(KaybaAPIError) as error:
        await story.deliver(backend, story.parcels(KINDS))
    await backend.aclose()
    assert (error.value.status_code, error.value.transient) == (413, False)


@pytest.mark.asyncio
async def test_a_case_that_recorded_nothing_is_no_file(kayba: Kayba, connect: Any, story: Story) -> None:
    parcel = story.parcels(frozenset({ParcelKind.CASE_FINISHED}))[0]
    assert parcel.case
    empty = Parcel("x", parcel.kind, parcel.run, parcel.case.model_copy(update={"samples": []}))
    backend = connect()
    await story.deliver(backend, [empty])
    await backend.aclose()
    assert kayba.files == []


def test_a_key_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAYBA_API_KEY", "of another purpose")
    settings = BackendsConfig(kayba=KaybaConfig(key_env="MY_KEY"))
    with pytest.raises(
        ConfigError, match=r"backend 'kayba': no key: set MY_KEY in the environment; to upload"
    ):
        open_backend("kayba", Config(root=tmp_path, store=tmp_path, backends=settings), {})
