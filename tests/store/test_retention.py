"""What is older or more than a workspace is to keep is deleted, and its space given back."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_kaizen.models import GateResult, Outcome, Scope, TaskSummary
from pytest_kaizen.store import Store
from pytest_kaizen.store.central import Workspace
from pytest_kaizen.store.workspaces import OpenWorkspace

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def policy(workspace: OpenWorkspace, **keep: Any) -> Workspace:
    return Workspace(id=workspace.id, name="w", created_at=NOW, **keep)


def fill(store: Store, make: Any, count: int, days_ago: float) -> list[str]:
    """Store large traces of a moment."""
    # Random, or PostgreSQL would press it to nothing.
    traces = [
        make.trace(created_at=NOW - timedelta(days=days_ago), output=os.urandom(10_000).hex())
        for _ in range(count)
    ]
    return store.shelf.add(traces)


def rows(workspace: OpenWorkspace) -> list[int]:
    with workspace._database.read() as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("traces", "spans", "scores", "search")
        ]


def test_by_age(workspace: OpenWorkspace, make: Any) -> None:
    fill(workspace.store, make, 3, 31)
    kept = fill(workspace.store, make, 2, 29)
    workspace.index(anyway=True)
    assert rows(workspace) == [5, 5, 5, 5]
    assert workspace.retain(policy(workspace, keep_days=30), NOW) == 3
    assert [trace.id for trace in workspace.store.traces()] == kept[::-1]
    assert rows(workspace) == [2, 2, 2, 2]
    assert workspace.retain(policy(workspace, keep_days=30), NOW) == 0
    assert workspace.retain(policy(workspace), NOW + timedelta(days=999)) == 0


def test_by_size_and_the_space_is_given_back(workspace: OpenWorkspace, make: Any) -> None:
    old = fill(workspace.store, make, 200, 5)
    new = fill(workspace.store, make, 200, 1)
    workspace.index(anyway=True)
    before = workspace.size()
    assert before > 400 * 10_000
    bound = before // 2
    deleted = workspace.retain(policy(workspace, keep_bytes=bound), NOW)
    left = [trace.id for trace in workspace.store.traces(limit=1000)]
    assert len(left) == 400 - deleted
    # About a half, the oldest.
    assert 150 < deleted < 250
    assert left == [*reversed(new), *reversed(old)][: len(left)]
    assert workspace.size() < before * 0.65
    if isinstance(workspace._database.path, Path):
        assert workspace._database.path.stat().st_size < before * 0.65


def test_old_runs_go_with_all_that_belongs_to_them(workspace: OpenWorkspace, make: Any) -> None:
    store = workspace.store
    for name, days in (("old", 40), ("new", 10)):
        moment = NOW - timedelta(days=days)
        run = make.run(name, created_at=moment)
        store.start_run(run)
        gate = GateResult(
            scope=Scope.TASK, task="sum", name="g", bar="", outcome=Outcome.PASS, sentence="", figure=None
        )
        case = make.case(run_id=name, gates=[gate])
        store.finish_case(case, begins=True)
        store.add_sample(case, make.sample(run_id=name, created_at=moment))
        store.finish_case(case)
        run.tasks = [TaskSummary(task="sum", cases=1, collected=1, samples=1, gates=[gate])]
        store.finish_run(run)
    assert workspace.retain(policy(workspace, keep_days=30), NOW) == 1
    assert [run.id for run in store.runs()] == ["new"]
    assert len(store.cases("new")[0].samples) == 1
    with workspace._database.read() as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("cases", "gates", "task_summaries")
        ]
    assert counts == [1, 2, 1]


def test_a_file_of_the_plugin_gives_space_back_too(path: Path, make: Any) -> None:
    """It was made without what lets a file shrink a page at a time."""
    with Store.open(path) as store:
        fill(store, make, 50, 5)
        before = store._database.size()
        assert store.retention.delete_traces(40) == 40
        assert store._database.size() < before / 2
        store._database.give_back()
        assert path.stat().st_size < before / 2
        assert len(store.traces()) == 10
