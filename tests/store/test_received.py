from __future__ import annotations

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Case, GateResult, Outcome, Run, Scope, Score, ScoreSource
from pytest_kaizen.store import Store
from tests.store.conftest import Make


@pytest.fixture
def run(store: Store, make: Make) -> Run:
    run = make.run()
    store.received.put_run(run)
    return run


def whole(make: Make, number: int = 2, run_id: str = "run-1") -> Case:
    case = make.case(outcome="passed", run_id=run_id)
    case.samples = [make.sample(sample=place) for place in range(number)]
    case.gates = [
        GateResult(
            scope=Scope.CASE,
            task=case.task,
            case_id=case.id,
            name="score",
            bar=">= 0.5",
            outcome=Outcome.PASS,
            sentence="fine",
        )
    ]
    return case


def test_a_run_comes_as_it_was_and_twice_is_once(store: Store, make: Make, run: Run) -> None:
    case = whole(make)
    for _ in range(2):
        store.received.put_cases(run.id, [case])
        assert store.cases(run.id) == [case]
    assert [trace.id for trace in store.traces(run_id=run.id)] == [
        sample.trace.id for sample in reversed(case.samples)
    ]
    ended = run.model_copy(update={"finished_at": make.time(), "status": "completed", "exit_status": 0})
    store.received.put_run(ended)
    # What was sent first may arrive last.
    store.received.put_run(run)
    assert store.runs() == [ended]


def test_a_rerun_is_a_further_attempt(store: Store, make: Make, run: Run) -> None:
    first, second = whole(make), whole(make, 1)
    store.received.put_cases(run.id, [first])
    for _ in range(2):
        store.received.put_cases(run.id, [second])
        assert store.cases(run.id) == [second]
    assert len(store.traces(run_id=run.id)) == 3


def test_a_trace_that_came_on_another_way_is_the_sample_s(store: Store, make: Make, run: Run) -> None:
    case = whole(make, 1)
    trace = case.samples[0].trace
    human = Score(name="kind", value=0.5, source=ScoreSource.HUMAN)
    trace.metadata = {"seed": 1}
    # Its correlation id is what an experiment finds it by.
    theirs = {"correlationId": "experiment-1", "seed": 2}
    early = trace.model_copy(
        update={"run_id": None, "case_id": None, "task": "", "scores": [human], "metadata": theirs}
    )
    store.intake.put([early])
    for _ in range(2):
        store.received.put_cases(run.id, [case])
    (kept,) = store.cases(run.id)[0].samples
    whole_trace = trace.model_copy(
        update={"scores": [*trace.scores, human], "metadata": {**theirs, "seed": 1}}
    )
    assert kept.trace == whole_trace
    assert store.experiments.traces(["experiment-1"]) == [whole_trace]
    assert (kept.passed, kept.metrics) == (case.samples[0].passed, case.samples[0].metrics)
    assert store.received.has_run(run.id)


def test_cases_of_no_run_and_of_another_are_refused_as_a_whole(store: Store, make: Make, run: Run) -> None:
    good = whole(make)
    with pytest.raises(StoreError, match="there is no run 'nowhere'"):
        store.received.put_cases("nowhere", [good])
    with pytest.raises(StoreError, match="is of another run"):
        store.received.put_cases(run.id, [good, whole(make, run_id="other")])
    assert store.cases(run.id) == []
    assert not store.received.has_run("nowhere")
