"""Several processes on one store, and processes that die."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.store import Store, sqlite
from pytest_kaizen.store.workspaces import Workspaces

WRITER = Path(__file__).with_name("writer.py")


def writer(where: Path | str, run_id: str, count: int, *, checkpoint: int = 8000) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(where), run_id, str(count), str(checkpoint)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sound(where: Path | str) -> bool:
    if not isinstance(where, Path):
        return True
    connection = sqlite3.connect(where)
    try:
        checks = [
            connection.execute(f"PRAGMA {name}").fetchall()
            for name in ("integrity_check", "foreign_key_check")
        ]
    finally:
        connection.close()
    return checks == [[("ok",)], []]


def test_two_runs_at_once_and_a_reader(home: str, where: Path | str) -> None:
    """Both write all they have, nothing is damaged, and reading goes on meanwhile."""
    count = 2000 if home == "sqlite" else 200
    processes = [writer(where, run_id, count) for run_id in ("one", "two")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
    seen: list[int] = []
    while any(process.poll() is None for process in processes):
        for process in processes:
            # Drain what is announced, or the pipe fills and the writer waits for us.
            assert process.stdout is not None
            process.stdout.readline()
        if len(seen) < 20:
            with Store.open(where, readonly=True) as reader:
                seen.append(len(reader.traces(limit=count)))
    for process in processes:
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert sound(where)
    with Store.open(where, readonly=True) as reader:
        for run_id in ("one", "two"):
            outputs = [sample.trace.output for sample in reader.cases(run_id)[0].samples]
            assert outputs == [f"{number}:" + "x" * 500 for number in range(count)]


@pytest.mark.parametrize("stored", [1, 37, 400])
def test_a_killed_process_loses_nothing_that_it_had_stored(where: Path | str, stored: int) -> None:
    process = writer(where, "killed", 1_000_000)
    assert process.stdout is not None
    for number in range(stored):
        assert process.stdout.readline() == f"{number}\n"
    process.kill()
    rest = process.stdout.read().splitlines()
    process.communicate()
    announced = stored + len(rest)
    with Store.open(where, readonly=True) as reader:
        case = reader.cases("killed")[0]
        assert reader.run("killed").status == "running"
    assert not case.complete
    # The one that was stored but not yet announced may be there too.
    assert len(case.samples) in (announced, announced + 1)
    assert [sample.trace.output for sample in case.samples] == [
        f"{number}:" + "x" * 500 for number in range(len(case.samples))
    ]
    assert all(len(sample.trace.spans) == len(sample.trace.scores) == 1 for sample in case.samples)
    with Store.open(where):
        pass
    assert sound(where)


@pytest.mark.parametrize("wait_for", [1, 300])
def test_a_killed_server_loses_nothing_that_it_acknowledged(
    home: str, workspaces: Workspaces, tmp_path: Path, request: pytest.FixtureRequest, wait_for: int
) -> None:
    place = tmp_path / "server" if home == "sqlite" else request.getfixturevalue("postgres_url")
    made = workspaces.central.create_workspace("killed")
    command = [sys.executable, str(WRITER.with_name("group_writer.py")), str(place), made.id]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    announced = [process.stdout.readline() for _ in range(wait_for)]
    process.kill()
    announced += process.stdout.read().splitlines()
    errors = process.communicate()[1]
    assert errors == ""
    workspace = workspaces.get(made.id)
    stored = {trace.id: trace for trace in workspace.store.traces(limit=1_000_000)}
    # The last line may have been cut.
    acknowledged = {f"t{int(line)}" for line in announced[:-1]}
    assert len(acknowledged) >= wait_for - 1
    assert acknowledged <= set(stored)
    assert all(len(trace.spans) == 1 for trace in stored.values())
    workspace.index(anyway=True)
    assert len(workspace.search("killed", limit=1).hits) == 1
    assert workspace.search("killed").total == min(len(stored), 1000)
    if home == "sqlite":
        workspaces.close()
        assert sound(place / f"{made.id}.db")


def test_writers_that_checkpoint_all_the_time(path: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two connections that each fold the log into the database at nearly every commit."""
    monkeypatch.setattr(sqlite, "_CHECKPOINT_PAGES", 1)
    process = writer(path, "other", 500, checkpoint=1)
    with Store.open(path) as store:
        store.start_run(make.run())
        case = make.case()
        store.finish_case(case, begins=True)
        for _ in range(500):
            store.add_sample(case, make.sample())
        assert process.communicate()[1] == ""
        assert len(store.cases("run-1")[0].samples) == 500
        assert len(store.cases("other")[0].samples) == 500
    assert sound(path)


def test_the_log_does_not_grow_without_end(path: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_CHECKPOINT_PAGES", 100)
    log = path.with_name("kaizen.db-wal")
    with Store.open(path) as store:
        store.start_run(make.run())
        case = make.case()
        store.finish_case(case, begins=True)
        for _ in range(300):
            store.add_sample(case, make.sample())
        assert 0 < log.stat().st_size < 200 * 4200
    assert not log.exists()
