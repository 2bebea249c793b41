"""The import of traces: nothing double, nothing lost when it is broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.errors import JobError, PlatformError, UsageError
from pytest_kaizen.models import Job, JobStatus, Score, ScoreSource
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.integrations import importing, settings
from pytest_kaizen.pipeline.integrations.importing import Import, Importer
from pytest_kaizen.store import Store
from tests.pipeline.integrations.conftest import price
from tests.pipeline.integrations.place import SECRET, Said
from tests.pipeline.integrations.places import PLACES, MlflowPlace, mlflow_trace
from tests.pipeline.integrations.test_settings import change

PROJECT = "support"


def importer(store: Store, pause: Callable[[Job], None] = lambda _: None, **environ: str) -> Importer:
    return Importer(store, Redactor(environ), price, allow_private=True, pause=pause)


def run(store: Store, name: str = "mlflow", **wanted: Any) -> Job:
    job = importing.start(store, Import(name, PROJECT, **wanted))
    importer(store).run(job)
    return store.jobs.one(job.id)


@pytest.fixture
def mlflow(store: Store) -> Iterator[MlflowPlace]:
    with MlflowPlace() as place:
        change(store, "mlflow", trackingUri=place.url, experimentName=PROJECT)
        yield place


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_PAGE", 1)


@pytest.mark.parametrize("name", list(PLACES))
def test_importing_twice_makes_nothing_double(store: Store, name: str) -> None:
    with PLACES[name]() as place:
        change(store, name, **{"trackingUri" if name == "mlflow" else "apiUrl": place.url})
        if name != "mlflow":
            change(store, name, apiKey=SECRET)
        first = run(store, name)
        assert first.result == {"traces": 3, "new": 3, "leftOut": 0, "reasons": []}
        before = [store.trace(trace_id).model_dump() for trace_id in store.shelf.ids()]
        assert [trace["created_at"].minute for trace in before] == [3, 2, 1]
        second = run(store, name)
    assert second.result == {"traces": 3, "new": 0, "leftOut": 0, "reasons": []}
    assert [store.trace(trace_id).model_dump() for trace_id in store.shelf.ids()] == before
    assert (second.kind, second.task, second.status) == ("import", name, JobStatus.COMPLETED)
    assert second.step == "3 traces of support"


def test_what_was_added_here_stays(store: Store, mlflow: MlflowPlace) -> None:
    run(store)
    trace_id = f"{1:032x}"
    store.add_score(trace_id, Score(name="mine", value=1.0, source=ScoreSource.HUMAN))
    store.add_score(trace_id, Score(name="polite", value=1.0, source=ScoreSource.SDK))
    there = store.trace(trace_id)
    store.intake.put([there.model_copy(update={"task": "sum", "metadata": {**there.metadata, "own": 1}})])
    feedback = {"assessment_name": "polite", "source": {"source_type": "CODE"}, "feedback": {"value": 0.5}}
    mlflow.traces[f"tr-{trace_id}"]["trace_info"]["assessments"] = [feedback]
    del mlflow.traces[f"tr-{trace_id}"]["spans"][1]
    run(store)
    trace = store.trace(trace_id)
    assert {(score.name, score.value) for score in trace.scores} == {("polite", 0.5), ("mine", 1.0)}
    assert (trace.task, trace.metadata["own"], len(trace.spans)) == ("sum", 1, 3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("wanted", "minutes"),
    [
        ({}, [3, 2, 1]),
        ({"limit": 2}, [3, 2]),
        ({"limit": 3}, [3, 2, 1]),
        ({"limit": 9}, [3, 2, 1]),
        ({"since": datetime(2026, 11, 22, 12, 2, tzinfo=UTC)}, [3, 2]),
        ({"since": datetime(2030, 1, 1, tzinfo=UTC)}, []),
    ],
)
@pytest.mark.parametrize("name", list(PLACES))
def test_which_traces(store: Store, name: str, wanted: dict[str, Any], minutes: list[int]) -> None:
    with PLACES[name]() as place:
        change(store, name, **{"trackingUri" if name == "mlflow" else "apiUrl": place.url})
        if name != "mlflow":
            change(store, name, apiKey=SECRET)
        job = run(store, name, **wanted)
    found = [store.trace(trace_id).created_at.minute for trace_id in store.shelf.ids()]
    assert (found, job.result["traces"]) == (minutes, len(minutes))


@pytest.mark.usefixtures("small")
def test_it_goes_on_where_it_was_broken_off(store: Store, mlflow: MlflowPlace) -> None:
    class Killed(BaseException):
        pass

    def kill(job: Job) -> None:
        if job.result["traces"] == 2:
            raise Killed

    job = importing.start(store, Import("mlflow", PROJECT, limit=3))
    with pytest.raises(Killed):
        importer(store, kill).run(job)
    assert len(store.shelf.ids()) == 2
    mlflow.asked.clear()
    importer(store).run(jobs.claim(store, job.id))
    assert store.jobs.one(job.id).result == {"traces": 3, "new": 3, "leftOut": 0, "reasons": []}
    searches = [asked.body for asked in mlflow.asked if asked.path.endswith("/search")]
    assert len(searches) == 1
    assert "page_token" in searches[0]


@pytest.mark.usefixtures("small", "mlflow")
def test_a_page_that_was_stored_and_not_noted_is_fetched_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = importing.start(store, Import("mlflow", PROJECT))
    noted = jobs.progress

    def lost(*given: Any) -> None:
        if len(store.shelf.ids()) == 2:
            raise PlatformError("the power went")
        noted(*given)

    monkeypatch.setattr(jobs, "progress", lost)
    with pytest.raises(PlatformError, match="the power went"):
        importer(store).run(job)
    monkeypatch.setattr(jobs, "progress", noted)
    importer(store).run(jobs.claim(store, job.id))
    assert len(store.shelf.ids()) == 3
    assert store.jobs.one(job.id).result["traces"] == 3


@pytest.mark.usefixtures("small", "mlflow")
def test_it_learns_with_the_next_page_that_it_was_stopped(store: Store) -> None:
    def stop(now: Job) -> None:
        jobs.stop(store, now.id)

    job = importing.start(store, Import("mlflow", PROJECT))
    with pytest.raises(JobError, match="was stopped"):
        importer(store, stop).run(job)
    assert store.jobs.one(job.id).status is JobStatus.STOPPED
    assert len(store.shelf.ids()) == 2


@pytest.mark.usefixtures("mlflow")
def test_one_import_from_a_source_at_a_time(store: Store) -> None:
    importing.create(store, Import("mlflow", PROJECT))
    with pytest.raises(JobError):
        importing.create(store, Import("mlflow", PROJECT))
    importing.create(store, Import("langsmith", PROJECT))


@pytest.mark.usefixtures("mlflow")
def test_what_it_says_when_it_fails(store: Store) -> None:
    job = importing.start(store, Import("mlflow", "nobody"))
    with pytest.raises(UsageError, match="mlflow has no project 'nobody'; there are: 'support'"):
        importer(store).run(job)
    failed = store.jobs.one(job.id)
    assert (failed.status, failed.error) == (
        JobStatus.FAILED,
        "mlflow has no project 'nobody'; there are: 'support'",
    )
    settings.forget(store, "mlflow")
    job = importing.start(store, Import("mlflow", PROJECT))
    with pytest.raises(UsageError, match="mlflow is not set up: trackingUri is not set"):
        importer(store).run(job)


def test_a_cursor_that_does_not_move(store: Store, mlflow: MlflowPlace) -> None:
    info = mlflow_trace(1)["trace_info"]
    answer = mlflow.answer
    mlflow.answer = lambda asked: (  # type: ignore[method-assign]
        Said(200, {"traces": [info], "next_page_token": "x"})
        if asked.path.endswith("/search")
        else answer(asked)
    )
    job = importing.start(store, Import("mlflow", PROJECT))
    with pytest.raises(PlatformError, match="the second of two pages begins where the first did"):
        importer(store).run(job)


def test_what_cannot_be_read_is_named_and_counted(store: Store, mlflow: MlflowPlace) -> None:
    mlflow.traces[f"tr-{2:032x}"]["spans"][0]["span_id"] = "!"
    job = run(store)
    assert (job.result["traces"], job.result["leftOut"]) == (2, 1)
    (reason,) = job.result["reasons"]
    assert reason.startswith(f"tr-{2:032x}: ")


def test_secrets_are_taken_out(store: Store, mlflow: MlflowPlace) -> None:
    mlflow.traces[f"tr-{1:032x}"]["spans"][0]["attributes"][1]["value"] = {
        "string_value": "use my-own-password-4711 now"
    }
    job = importing.start(store, Import("mlflow", PROJECT))
    importer(store, APP_PASSWORD="my-own-password-4711").run(job)
    assert store.trace(f"{1:032x}").input == "use [redacted: $APP_PASSWORD] now"
    assert "my-own-password" not in store.trace(f"{1:032x}").model_dump_json()


@pytest.mark.parametrize("since", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), None])
@pytest.mark.usefixtures("mlflow")
def test_a_job_keeps_all_of_it(store: Store, since: datetime | None) -> None:
    wanted = importing.planned(store, "mlflow", None, since, 5)
    assert wanted.project == PROJECT
    job = importing.create(store, wanted)
    assert Import.of_job(store.jobs.one(job.id)) == wanted
    assert wanted.since is None or wanted.since == datetime(2026, 1, 1, tzinfo=UTC)
