"""Jobs that have a model read traces: what they find, what they may cost, and how they go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.errors import BudgetExceeded, LLMError, UsageError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import Annotation, Behavior, Job, JobStatus, Trace
from pytest_kaizen.pipeline import jobs, observing
from pytest_kaizen.pipeline.observing import analyze, detect, start_or_join
from pytest_kaizen.store import Store

MODEL = "claude-haiku-4-5"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOOPS, QUITS = (Behavior(label=label, description="x", created_at=NOW) for label in ("loops", "quits"))


class Model:
    """Answers with one after the other, the last for ever."""

    def __init__(self, *answers: Any, cost_usd: float = 0.01) -> None:
        self._answers = list(answers)
        self._cost_usd = cost_usd
        self.asked: list[LLMRequest] = []

    def complete(self, request: LLMRequest) -> Completion:
        self.asked.append(request)
        data = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(data, Exception):
            raise data
        return Completion(text="", model=request.model, data=data, cost_usd=self._cost_usd)


def unheard(job: Job) -> None:
    assert job.status is JobStatus.RUNNING


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store) as opened:
        yield opened


def put(store: Store, count: int) -> list[str]:
    made = [
        Trace(id=f"t{i}", name="t", created_at=NOW, input=f"in {i}", output=f"out {i}") for i in range(count)
    ]
    store.shelf.add(made)
    return [trace.id for trace in made]


def to_analyze(store: Store, ids: list[str], question: str | None = None) -> Job:
    settings = {"traces": ids, "question": question, "model": MODEL}
    return jobs.claim(store, start_or_join(store, jobs.ANALYSIS, "e", settings).id)


def to_detect(store: Store, ids: list[str], *behaviors: Behavior, least: float = 0.5) -> Job:
    told = [behavior.model_dump(mode="json") for behavior in behaviors]
    settings = {"traces": ids, "behaviors": told, "min_confidence": least, "model": MODEL}
    return jobs.claim(store, start_or_join(store, jobs.DETECTION, "traces", settings).id)


def finding(title: str, **numbers: list[int]) -> dict[str, Any]:
    return {"findings": [{"title": title, "detail": "d", **numbers}]}


def signs(*scores: int, reason: str = "r") -> dict[str, Any]:
    return {f"b{i}": {"reason": reason, "score": score} for i, score in enumerate(scores, 1)}


def test_one_chunk_is_analysed_in_one_call(config: Config, store: Store) -> None:
    model = Model(finding("Says \x1b[31m\n out", traces=[2]))
    job = to_analyze(store, put(store, 2), "What?")
    analyze(config, store, job, model, unheard)
    done = store.jobs.one(job.id)
    assert (done.status, done.spend.calls, round(done.spend.usd, 6)) == (JobStatus.COMPLETED, 1, 0.01)
    assert done.result == {"insights": [{"title": "Says \\x1b[31m out", "detail": "d", "traceIds": ["t1"]}]}
    assert "What?" in model.asked[0].prompt


def test_several_chunks_are_merged(config: Config, store: Store) -> None:
    model = Model(finding("A", traces=[1]), finding("B", traces=[1]), finding("AB", findings=[1, 2]))
    job = to_analyze(store, put(store, 5))
    analyze(config, store, job, model, unheard)
    assert store.jobs.one(job.id).result["insights"] == [
        {"title": "AB", "detail": "d", "traceIds": ["t0", "t4"]}
    ]


def test_what_cannot_be_read_fails_the_analysis(config: Config, store: Store) -> None:
    model = Model(finding("A", traces=[1]), {"findings": "none"})
    job = to_analyze(store, put(store, 5))
    with pytest.raises(LLMError, match="no readable answer"):
        analyze(config, store, job, model, unheard)
    failed = store.jobs.one(job.id)
    assert (failed.status, failed.result) == (JobStatus.FAILED, {})
    assert "no list of findings" in (failed.error or "")


def test_a_job_that_was_broken_off_pays_for_the_rest_alone(config: Config, store: Store) -> None:
    job = to_analyze(store, put(store, 5))
    with pytest.raises(LLMError):
        analyze(config, store, job, Model(finding("A", traces=[1]), LLMError("down")), unheard)
    model = Model(finding("B", traces=[1]), finding("AB", findings=[1, 2]))
    again = jobs.claim(store, job.id)
    # A failed call counts at the most it can have cost.
    before = again.spend.usd
    assert before > 0.01
    analyze(config, store, again, model, unheard)
    assert len(model.asked) == 2
    assert store.jobs.one(job.id).spend.usd == pytest.approx(before + 0.02)


def test_the_budget_holds_also_over_processes(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = to_analyze(store, put(store, 9))
    model = Model(*(finding("A", traces=[1]) for _ in range(9)), cost_usd=0.1)
    monkeypatch.setattr(observing, "BUDGET_USD", 0.15)
    for calls in (2, 2):
        with pytest.raises(BudgetExceeded, match=r"of \$0.15 is used"):
            analyze(config, store, job, model, unheard)
        assert len(model.asked) == calls
        job = jobs.claim(store, job.id)
    unknown = to_analyze(store, ["t0"]).model_copy(
        update={"settings": {"traces": ["t0"], "question": None, "model": "x"}}
    )
    with pytest.raises(LLMError, match="'x' has no known price"):
        analyze(config, store, unknown, model, unheard)


def test_detection_annotates_what_it_is_sure_of(config: Config, store: Store) -> None:
    model = Model(signs(5, 4, reason="says \x1b so"), signs(0, 10))
    job = to_detect(store, put(store, 2), LOOPS, QUITS)
    detect(config, store, job, model, unheard)
    found = store.annotations.newest()
    assert [(item.trace_id, item.label, item.confidence, item.source) for item in found] == [
        ("t1", "quits", 1.0, "detected"),
        ("t0", "loops", 0.5, "detected"),
    ]
    assert found[1].notes == "says \\x1b so"
    done = store.jobs.one(job.id)
    assert done.result["checked"] == 2
    assert [Annotation.model_validate(item) for item in done.result["annotations"]] == found[::-1]


def test_detection_again_changes_what_it_said_and_nothing_else(config: Config, store: Store) -> None:
    ids = put(store, 1)
    human = Annotation(trace_id="t0", label="loops", confidence=0.1, created_at=NOW)
    store.annotations.add(human)
    detect(config, store, to_detect(store, ids, LOOPS), Model(signs(5)), unheard)
    (first,) = [item for item in store.annotations.newest() if item.source == "detected"]
    # The answer is known, so no call is made, and nothing is double.
    detect(config, store, to_detect(store, ids, LOOPS), Model(LLMError("not asked")), unheard)
    changed = LOOPS.model_copy(update={"description": "y"})
    detect(config, store, to_detect(store, ids, changed), Model(signs(9)), unheard)
    detected, kept = store.annotations.newest()
    assert kept == human
    assert (detected.id, detected.confidence) == (first.id, 0.9)


def test_a_detection_that_fails_annotates_nothing(config: Config, store: Store) -> None:
    job = to_detect(store, put(store, 2), LOOPS)
    with pytest.raises(LLMError, match="no readable answer"):
        detect(config, store, job, Model(signs(10), signs(99)), unheard)
    assert store.annotations.newest() == []
    assert store.jobs.one(job.id).status is JobStatus.FAILED


def test_traces_that_are_gone(config: Config, store: Store) -> None:
    ids = put(store, 2)
    store.shelf.delete("t0")
    detection, analysis = to_detect(store, ids, LOOPS), to_analyze(store, ids)
    detect(config, store, detection, Model(signs(10)), unheard)
    assert store.jobs.one(detection.id).result["checked"] == 1
    analyze(config, store, analysis, Model(finding("A", traces=[1])), unheard)
    assert store.jobs.one(analysis.id).result["insights"][0]["traceIds"] == ["t1"]
    store.shelf.delete("t1")
    for do, job in ((detect, to_detect(store, ids, LOOPS)), (analyze, to_analyze(store, ids))):
        with pytest.raises(UsageError, match="none of the traces is there any more"):
            do(config, store, job, Model(), unheard)


def test_the_same_is_done_once_at_a_time(store: Store) -> None:
    first = start_or_join(store, jobs.ANALYSIS, "e", {"traces": ["a"], "question": None})
    assert start_or_join(store, jobs.ANALYSIS, "e", {"question": None, "traces": ["a"]}).id == first.id
    assert (
        jobs.claim(store, first.id).id
        == start_or_join(store, jobs.ANALYSIS, "e", {"traces": ["a"], "question": None}).id
    )
    other = start_or_join(store, jobs.ANALYSIS, "e", {"traces": ["a"], "question": "What?"})
    assert other.id != first.id
    jobs.stop(store, first.id)
    assert start_or_join(store, jobs.ANALYSIS, "e", {"traces": ["a"], "question": None}).id != first.id
