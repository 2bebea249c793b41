"""What the store keeps, and what it gives back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Case, GateResult, Outcome, PromptVersion, Scope, TaskSummary
from pytest_kaizen.store import Store

Started = Callable[..., Case]


def gate(name: str, **fields: Any) -> GateResult:
    values = {"scope": Scope.CASE, "task": "sum", "bar": ">= 0.8", "outcome": Outcome.PASS, "sentence": "ok"}
    return GateResult(**{**values, "name": name, **fields})


def version(number: int, text: str, task: str = "sum") -> PromptVersion:
    return PromptVersion(task=task, version=number, sha256=text * 64, text=text)


def test_a_run_is_running_until_it_is_finished(store: Store, make: Any) -> None:
    run = make.run()
    store.start_run(run)
    assert store.run("run-1") == run
    assert store.run("run-1").status == "running"
    run.status, run.exit_status, run.notes = "finished", 1, ["two cases were skipped"]
    run.tasks = [
        TaskSummary(task="sum", cases=2, collected=3, samples=4, score=0.5, gates=[gate("a"), gate("b")]),
        TaskSummary(task="translate", cases=1, collected=1, samples=1, gates=[gate("c")]),
    ]
    store.finish_run(run)
    assert store.run("run-1") == run
    run.tasks.pop()
    store.finish_run(run)
    assert store.run("run-1") == run


def test_runs_come_newest_first_whatever_order_they_were_stored_in(store: Store, make: Any) -> None:
    for run_id, day in (("b", 2), ("c", 3), ("a", 1)):
        store.start_run(make.run(run_id, created_at=datetime(2026, 1, day, tzinfo=UTC)))
    assert [run.id for run in store.runs()] == ["c", "b", "a"]
    assert [run.id for run in store.runs(limit=2)] == ["c", "b"]
    assert store.run("last").id == "c"


def test_a_case_has_its_samples_and_gates(store: Store, started: Started, make: Any) -> None:
    case = started()
    case.samples = [make.sample(sample=number) for number in range(3)]
    case.samples[1].passed, case.samples[1].error = None, "ValueError: no"
    case.samples[1].missing = {"score": "the judge could not be reached"}
    case.samples[2].prompts = {"sum": (2, "a" * 64)}
    for sample in case.samples:
        store.add_sample(case, sample)
    case.gates = [gate("polite", figure=1.0), gate("score", outcome=Outcome.FAIL)]
    case.outcome = "failed"
    store.finish_case(case)
    assert store.cases("run-1") == [case]


def test_a_case_that_was_never_finished_is_incomplete(store: Store, started: Started, make: Any) -> None:
    case = started()
    sample = make.sample()
    store.add_sample(case, sample)
    assert store.cases("run-1") == [case.model_copy(update={"complete": False, "samples": [sample]})]


def test_cases_come_in_the_order_they_began_and_of_their_run_only(
    store: Store, started: Started, make: Any
) -> None:
    started("test_b.py::test")
    started("test_a.py::test")
    store.start_run(make.run("run-2"))
    store.finish_case(make.case("test_b.py::test", run_id="run-2"), begins=True)
    assert [case.id for case in store.cases("run-1")] == ["test_b.py::test", "test_a.py::test"]
    assert [(case.id, case.run_id) for case in store.cases("run-2")] == [("test_b.py::test", "run-2")]


def test_a_rerun_counts_its_own_samples_and_keeps_the_earlier_traces(
    store: Store, started: Started, make: Any
) -> None:
    first, second = make.sample(), make.sample()
    case = started()
    store.add_sample(case, first)
    case.gates = [gate("polite", outcome=Outcome.FAIL)]
    store.finish_case(case)
    again = started()
    assert store.cases("run-1") == [again.model_copy(update={"complete": False})]
    store.add_sample(again, second)
    again.samples = [second]
    store.finish_case(again)
    assert store.cases("run-1") == [again]
    assert [trace.id for trace in store.traces()] == [second.trace.id, first.trace.id]


def test_a_sample_that_is_handed_over_twice_is_stored_once(store: Store, started: Started, make: Any) -> None:
    case, sample = started(), make.sample()
    store.add_sample(case, sample)
    store.add_sample(case, sample)
    assert store.cases("run-1")[0].samples == [sample]


def test_a_case_and_its_only_sample_are_stored_in_one_go(store: Store, make: Any) -> None:
    store.start_run(make.run())
    first, second = make.case(), make.case()
    first.samples, first.gates = [make.sample()], [gate("polite", outcome=Outcome.FAIL)]
    store.finish_case(first, begins=True, sample=first.samples[0])
    assert store.cases("run-1") == [first]
    second.samples, second.gates = [make.sample()], [gate("score")]
    store.finish_case(second, begins=True, sample=second.samples[0])
    assert store.cases("run-1") == [second]
    assert len(store.traces()) == 2


def test_traces_by_run_task_and_case(store: Store, make: Any) -> None:
    stored = {}
    for run_id in ("run-1", "run-2"):
        store.start_run(make.run(run_id))
        for task, case_id in (("sum", "a"), ("sum", "b"), ("translate", "c")):
            case = make.case(case_id, run_id=run_id, task=task)
            store.finish_case(case, begins=True)
            sample = make.sample(run_id=run_id, task=task, case_id=case_id)
            store.add_sample(case, sample)
            stored[run_id, case_id] = sample.trace
    newest_first = list(stored.values())[::-1]
    assert store.traces() == newest_first
    assert store.traces(limit=2) == newest_first[:2]
    assert store.traces(run_id="run-1") == newest_first[3:]
    assert store.traces(task="translate") == [stored["run-2", "c"], stored["run-1", "c"]]
    assert store.traces(case_id="a") == [stored["run-2", "a"], stored["run-1", "a"]]
    assert store.traces(run_id="run-1", task="sum", limit=1) == [stored["run-1", "b"]]
    assert store.traces(run_id="run-1", task="sum", case_id="a") == [stored["run-1", "a"]]
    assert store.traces(run_id="run-3") == []


def test_traces_are_ordered_by_time_not_by_arrival_nor_by_zone(
    store: Store, started: Started, make: Any
) -> None:
    case = started()
    times = ["2026-01-01T12:00:00+02:00", "2026-01-01T11:00:00+00:00", "2026-01-01T10:00:00.000001+00:00"]
    for moment in times:
        store.add_sample(case, make.sample(name=moment, created_at=datetime.fromisoformat(moment)))
    assert [trace.name for trace in store.traces()] == [times[1], times[2], times[0]]


def test_one_trace_by_the_beginning_of_its_id(store: Store, started: Started, make: Any) -> None:
    case = started()
    for trace_id in ("abc1", "abc2", "b"):
        store.add_sample(case, make.sample(id=trace_id))
    assert store.trace("abc1").id == "abc1"
    assert store.trace("b").id == "b"
    assert store.trace("last").id == "b"
    with pytest.raises(
        StoreError, match=r"(kaizen\.db|\(schema kaizen\)): trace 'abc' is ambiguous: abc1, abc2; give more"
    ):
        store.trace("abc")
    with pytest.raises(StoreError, match=r"no trace 'x'; the newest are b, abc2, abc1$"):
        store.trace("x")
    with pytest.raises(StoreError, match=r"no trace ''"):
        store.trace("")


def test_a_whole_id_that_begins_another_is_not_ambiguous(store: Store, make: Any) -> None:
    store.start_run(make.run("r1"))
    store.start_run(make.run("r10"))
    assert store.run("r1").id == "r1"
    with pytest.raises(StoreError, match="run 'r' is ambiguous: r1, r10"):
        store.cases("r")


def test_nothing_stored_yet(store: Store) -> None:
    assert (store.runs(), store.traces(), store.prompts()) == ([], [], [])
    with pytest.raises(StoreError, match=r"no run 'last'; the store holds no runs yet"):
        store.run("last")


def test_what_was_never_started_cannot_go_on(store: Store, make: Any) -> None:
    with pytest.raises(StoreError, match="run 'run-1' was never started"):
        store.finish_case(make.case(), begins=True)
    with pytest.raises(StoreError, match="run 'run-1' was never started"):
        store.finish_run(make.run())
    store.start_run(make.run())
    never = r"case 'test_a\.py::test_a' of run 'run-1' was never started"
    with pytest.raises(StoreError, match=never):
        store.add_sample(make.case(), make.sample())
    with pytest.raises(StoreError, match=never):
        store.finish_case(make.case())
    with pytest.raises(StoreError, match="run 'run-1' is stored already"):
        store.start_run(make.run())


def test_prompt_versions_are_only_added(store: Store) -> None:
    store.save_prompts([version(2, "b"), version(1, "a"), version(1, "c", task="translate")])
    store.save_prompts([version(1, "a"), version(3, "d")])
    assert [prompt.version for prompt in store.prompts("sum")] == [1, 2, 3]
    assert [(prompt.task, prompt.version) for prompt in store.prompts()] == [
        ("sum", 1),
        ("sum", 2),
        ("sum", 3),
        ("translate", 1),
    ]
    with pytest.raises(StoreError) as caught:
        store.save_prompts([version(4, "e"), version(1, "x")])
    assert f"version 1 of prompt 'sum' was recorded with sha256 {'a' * 64} and now has {'x' * 64}" in str(
        caught.value
    )
    assert "`kaizen prompts new sum`" in str(caught.value)
    assert [prompt.text for prompt in store.prompts("sum")] == ["a", "b", "d"]


def test_threads_share_a_store(store: Store, started: Started, make: Any) -> None:
    cases = [started(f"test_{number}") for number in range(8)]
    samples = {case.id: [make.sample(sample=number) for number in range(50)] for case in cases}
    errors: list[Exception] = []

    def work(case: Case) -> None:
        try:
            for sample in samples[case.id]:
                store.add_sample(case, sample)
                store.traces(limit=1)
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {case.id: case.samples for case in store.cases("run-1")} == samples


def test_what_one_at_a_time_may_do(store: Store, where: Path | str) -> None:
    with Store.open(where) as other:
        with store._database.alone("sending") as first, other._database.alone("sending") as second:
            assert (first, second) == (True, False)
            with other._database.alone("counting") as third:
                assert third
        with other._database.alone("sending") as second:
            assert second


def test_closing_twice_is_harmless_and_a_closed_store_says_so(where: Path | str, make: Any) -> None:
    store = Store.open(where)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.start_run(make.run())
    with pytest.raises(StoreError, match="closed"):
        store.runs()


def test_a_readonly_store_reads_and_refuses_to_write(store: Store, where: Path | str, make: Any) -> None:
    store.start_run(make.run())
    with Store.open(where, readonly=True) as reader:
        assert reader.run("last").id == "run-1"
        store.start_run(make.run("run-2"))
        assert reader.run("last").id == "run-2"
        with pytest.raises(StoreError, match="open for reading only"):
            reader.start_run(make.run("run-3"))


def test_a_step_that_fails_stores_nothing_of_itself(store: Store, started: Started, make: Any) -> None:
    case, sample = started(), make.sample()
    sample.trace.scores[0].name = object()
    with pytest.raises(StoreError, match="the database failed"):
        store.add_sample(case, sample)
    assert store.traces() == []
    good = make.sample()
    store.add_sample(case, good)
    assert store.traces() == [good.trace]
