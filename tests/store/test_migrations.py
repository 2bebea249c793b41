"""Steps from one version of the schema to the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Run, TaskSummary
from pytest_kaizen.store import Store, migrations
from pytest_kaizen.store.database import Connection, Migration, Schema
from pytest_kaizen.store.migrations import observed

#: What the job ``j`` is called where ids are UUIDs; it must stay so.
JOB_UUID = "bdeaa5fe-3239-5fb0-bdca-61d933df3998"


def add_table(connection: Connection) -> None:
    connection.execute("CREATE TABLE later (name TEXT)")


def fail(connection: Connection) -> None:
    connection.execute("CREATE TABLE half (name TEXT)")
    raise ValueError("no luck")


def known(monkeypatch: pytest.MonkeyPatch, *steps: Migration) -> None:
    monkeypatch.setattr(migrations, "STORE", Schema(migrations.STORE.mark, steps))


def tables(where: Path | str) -> set[str]:
    """The names of all tables, as another program sees them."""
    if isinstance(where, Path):
        connection = sqlite3.connect(where)
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        connection.close()
    else:
        import psycopg

        with psycopg.connect(where) as server:
            rows = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'kaizen'").fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def old(where: Path | str, make: Any) -> Path | str:
    with Store.open(where) as store:
        store.start_run(make.run())
    return where


@pytest.mark.parametrize("readonly", [False, True])
def test_an_older_store_takes_the_steps_it_lacks(
    old: Path | str, monkeypatch: pytest.MonkeyPatch, readonly: bool
) -> None:
    before = tables(old)
    known(monkeypatch, *migrations.MIGRATIONS, add_table)
    with Store.open(old, readonly=readonly) as store:
        assert store.run("last").id == "run-1"
    assert tables(old) == before | {"later"}
    # A step that was taken twice would fail.
    Store.open(old).close()


def test_steps_that_fail_leave_the_store_as_it_was(old: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(old)
    known(monkeypatch, *migrations.MIGRATIONS, add_table, fail)
    with pytest.raises(StoreError, match="no luck"):
        Store.open(old)
    assert tables(old) == before
    known(monkeypatch, *migrations.MIGRATIONS, add_table)
    with Store.open(old) as store:
        assert store.run("last").id == "run-1"


def fill(connection: sqlite3.Connection, steps: int) -> None:
    """Store a row in every table that a store has after so many steps, as releases of then wrote it."""
    rows: dict[str, dict[str, Any]] = {
        "runs": {"id": "r", "created_at": "2026-01-01T00:00:00.000000+00:00", "status": "completed"},
        "cases": {"run": 1, "id": "c", "task": "sum", "outcome": "passed", "complete": 1},
        "prompts": {"task": "sum", "version": 1, "sha256": "s", "source": "file", "data": '{"text": "Sum."}'},
        "judge_answers": dict.fromkeys(("model", "rubric", "content", "order", "answer"), "1")
        | {"vote": 0, "sample": 0},
        "calibrations": dict.fromkeys(("rubric", "rubric_sha256", "model", "created_at"), "x") | {"votes": 1},
        "looks": {"task": "sum", "prompt": "p", "candidate": "c", "look": 1},
    }
    rows["runs"]["data"] = '{"kind": "traces", "config": {"x": NaN}, "notes": ["old"]}'
    rows["task_summaries"] = {"run": 1, "position": 0, "task": "sum", "cases": 1, "samples": 1}
    rows["task_summaries"]["data"] = '{"partial": "1 of 2", "collected": 2}'
    moment = {"created_at": "2026-01-01T00:00:00.000000+00:00"}
    rows["jobs"] = {"id": "j", "kind": "optimize", "task": "sum", "status": "completed", **moment}
    if steps > migrations.MIGRATIONS.index(migrations._jobs_by_uuid):
        rows["jobs"]["uuid"] = JOB_UUID
    rows["insights"] = {"id": "i", "task": "sum", "section": "s", "status": "pending", **moment}
    rows["insights"]["data"] = '{"rule": "Be brief."}'
    rows["tasks"] = {"id": "t", "name": "sum", **moment}
    rows["feedback"] = {"id": "f", "task_id": "t", "source": "sdk", "score": 0.5, **moment}
    rows["traces"] = {"id": "x", "name": "n", "sample": 0, **moment}
    rows["traces"]["data"] = '{"metadata": {"correlationId": "e"}}'
    if steps > migrations.MIGRATIONS.index(observed):
        rows["traces"]["correlation_id"] = "e"
    rows["outbox"] = {"backend": "b", "run_id": "r", "kind": "sample", "key": "k", "weak": "[]"}
    rows["outbox"] |= {"state": "owed", "attempts": 0}
    rows["sealed"] = {"kind": "integration", "owner": "mlflow", "name": "token", "token": "x"}
    rows["integrations"] = {"name": "mlflow", "data": '{"enabled": true}'}
    for name, row in rows.items():
        there = {column[1] for column in connection.execute(f"PRAGMA table_info({name})").fetchall()}
        if there:
            row |= {"data": row.get("data", "{}")} if "data" in there else {}
            names = ", ".join(f'"{column}"' for column in row)
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {name} ({names}) VALUES ({marks})", list(row.values()))
    if steps > migrations.MIGRATIONS.index(migrations._columns_for_lists):
        connection.execute("UPDATE runs SET kind = 'traces', data = '{\"notes\": [\"old\"]}'")
        connection.execute("UPDATE task_summaries SET partial = '1 of 2', data = '{\"collected\": 2}'")


@pytest.mark.parametrize("steps", range(1, len(migrations.MIGRATIONS) + 1))
def test_a_store_of_every_earlier_version_keeps_what_it_holds(path: Path, steps: int) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    for step in migrations.MIGRATIONS[:steps]:
        step(connection)
    connection.execute(f"PRAGMA application_id = {migrations.STORE.mark}")
    connection.execute(f"PRAGMA user_version = {steps}")
    fill(connection, steps)
    connection.close()
    with Store.open(path) as store:
        (run,) = store.runs()
        assert (run.id, run.kind, run.notes) == ("r", "traces", ["old"])
        assert [(task.task, task.partial, task.collected) for task in run.tasks] == [("sum", "1 of 2", 2)]
        assert [case.id for case in store.cases("r")] == ["c"]
        assert len(store.prompts("sum")) == 1
        tables = ("_optimisation", "_feedback", "_outbox")
        optimised, fed, owed = (
            steps > migrations.MIGRATIONS.index(getattr(migrations, name)) for name in tables
        )
        assert [trace.id for trace in store.experiments.traces(["e"])] == ["x"]
        assert [job.id for job in store.jobs.newest()] == ["j"] * optimised
        assert [store.jobs.find(JOB_UUID) is not None] == [optimised]
        assert [insight.rule for insight in store.insights()] == ["Be brief."] * optimised
        assert store.feedback.count("t").total == int(fed)
        assert [state.owed for state in store.outbox.states()] == [1] * owed
        sealed = steps > migrations.MIGRATIONS.index(migrations._sealed)
        assert store.sealed.shown("integration", "mlflow") == ({"token": "****"} if sealed else {})
        connected = steps > migrations.MIGRATIONS.index(migrations._integrations)
        assert store.integrations.one("mlflow") == ({"enabled": True} if connected else {})
        store.start_run(Run(id="new", created_at="2026-02-01T00:00:00Z"))
        store.finish_run(
            Run(
                id="new",
                created_at="2026-02-01T00:00:00Z",
                status="completed",
                tasks=[TaskSummary(task="sum", cases=1, collected=1, samples=1)],
            )
        )
        found = store.last_whole_run("sum")
        assert found is not None
        assert found.id == "new"
        assert store.run("last").id == "new"
    with Store.open(path, readonly=True) as store:
        assert len(store.runs()) == 2
