"""Runs and cases as pages read them."""

from __future__ import annotations

from pytest_kaizen.store.workspaces import OpenWorkspace

from .conftest import Make


def fill(workspace: OpenWorkspace, make: Make) -> None:
    store = workspace.store
    for run_id in ("run-1", "run-10"):
        store.start_run(make.run(run_id))
    first, second = make.case("b"), make.case("a")
    other = make.case("c", task="other")
    store.add_sample(first, make.sample(case_id="b", sample=7), begins=True)
    # It begins again: what the first attempt did is no longer among its samples.
    store.add_sample(first, make.sample(case_id="b", sample=1), begins=True)
    store.add_sample(first, make.sample(case_id="b", sample=0))
    store.add_sample(other, make.sample(case_id="c", task="other"), begins=True)
    store.finish_case(first)
    store.finish_case(second.model_copy(update={"outcome": "skipped"}), begins=True)


def test_the_cases_of_a_task_without_what_they_did(workspace: OpenWorkspace, make: Make) -> None:
    fill(workspace, make)
    listed = workspace.archive.cases("run-1", "sum")
    assert [(case.id, case.outcome, case.run_id) for case in listed] == [
        ("b", "passed", "run-1"),
        ("a", "skipped", "run-1"),
    ]
    whole = workspace.archive.case("run-1", "b")
    assert whole is not None
    bare: dict[str, list[object]] = {"spans": [], "scores": []}
    assert listed[0].samples == [
        sample.model_copy(update={"trace": sample.trace.model_copy(update=bare)}) for sample in whole.samples
    ]
    assert [sample.trace.sample for sample in whole.samples] == [0, 1]
    assert [len(sample.trace.spans) for sample in whole.samples] == [1, 1]
    assert listed[1].samples == []


def test_only_whole_ids_count(workspace: OpenWorkspace, make: Make) -> None:
    fill(workspace, make)
    archive = workspace.archive
    found = archive.run("run-10")
    assert found is not None
    assert found.id == "run-10"
    assert [archive.run(given) for given in ("run", "last", "")] == [None] * 3
    assert (
        archive.cases("run", "sum") == archive.cases("run-1", "none") == archive.cases("run-10", "sum") == []
    )
    assert archive.case("run", "b") is archive.case("run-1", "none") is archive.case("run-10", "b") is None
