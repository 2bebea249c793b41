from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import Run, TaskSummary
from pytest_kaizen.store import Store


def add(
    store: Store,
    day: int,
    *,
    task: str = "sum",
    branch: str | None = "main",
    status: str = "completed",
    partial: str | None = None,
    cases: int = 2,
) -> None:
    run = Run(id=f"run-{day}", created_at=datetime(2026, 3, day, tzinfo=UTC), branch=branch)
    store.start_run(run)
    run.status = status
    run.tasks = [
        TaskSummary(task="another", cases=1, collected=1, samples=1),
        TaskSummary(task=task, cases=cases, collected=2, samples=2, partial=partial),
    ]
    store.finish_run(run)


def test_the_newest_whole_run_of_the_task(store: Store) -> None:
    add(store, 2)
    add(store, 1)
    add(store, 3, task="other")
    add(store, 4, status="interrupted")
    add(store, 5, partial="1 of 2 cases ran")
    add(store, 6, cases=0)
    found = store.last_whole_run("sum")
    assert found is not None
    assert found.id == "run-2"
    assert [task.task for task in found.tasks] == ["another", "sum"]


@pytest.mark.parametrize(("branch", "expected"), [("main", "run-1"), ("feature", "run-2"), ("none", None)])
def test_of_a_branch(store: Store, branch: str, expected: str | None) -> None:
    add(store, 1)
    add(store, 2, branch="feature")
    add(store, 3, branch=None)
    found = store.last_whole_run("sum", branch)
    assert (found and found.id) == expected


def test_none_in_an_empty_store(store: Store) -> None:
    assert store.last_whole_run("sum") is None
