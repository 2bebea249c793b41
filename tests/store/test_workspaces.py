"""The workspaces of a server: each with its own database, opened when it is used."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import ConfigError, StoreError
from pytest_kaizen.store import workspaces as module
from pytest_kaizen.store.sqlite import SQLiteDatabase
from pytest_kaizen.store.workspaces import OpenWorkspace, Workspaces


def test_what_one_holds_is_not_there_for_another(workspaces: Workspaces, make: Any) -> None:
    one, two = (workspaces.get(workspaces.central.create_workspace(name).id) for name in ("one", "two"))
    mine, theirs = make.trace(id="same", output="mine"), make.trace(id="same", output="theirs")
    only_mine = make.trace()
    one.store.shelf.add([mine, only_mine])
    two.store.shelf.add([theirs])
    assert one.store.trace("same").output == "mine"
    assert two.store.trace("same").output == "theirs"
    assert two.store.traces() == [theirs]
    with pytest.raises(StoreError, match="no trace"):
        two.store.trace(only_mine.id)


def test_one_that_does_not_exist(workspaces: Workspaces) -> None:
    for unknown in ("w0123456789abcdef", "central", "../central", "", "first"):
        with pytest.raises(StoreError, match="there is no workspace"):
            workspaces.get(unknown)


def test_the_same_object_serves_all_while_it_is_in_use(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.setattr(module, "_KEPT_OPEN", 1)
    first, second = (workspaces.central.create_workspace(name).id for name in ("1", "2"))
    held = workspaces.get(first)
    workspaces.get(second)
    assert workspaces.get(first) is held
    workspaces.get(second)
    held.store.shelf.add([make.trace()])
    gone = weakref.ref(held)
    database = held._database
    del held
    gc.collect()
    assert gone() is None
    with pytest.raises(StoreError, match="closed"), database.write():
        pass
    assert [workspace.id for workspace in workspaces.opened()] == [second]
    assert len(workspaces.get(first).store.traces()) == 1


def test_who_holds_its_store_holds_it_open(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.setattr(module, "_KEPT_OPEN", 1)
    first, second = (workspaces.central.create_workspace(name).id for name in ("1", "2"))
    store = workspaces.get(first).store
    workspaces.get(second)
    gc.collect()
    store.shelf.add([make.trace()])
    assert len(store.traces()) == 1


def test_a_store_is_found_again(
    workspaces: Workspaces, make: Any, home: str, tmp_path: Path, request: Any
) -> None:
    made = workspaces.central.create_workspace("kept")
    trace = make.trace()
    workspaces.get(made.id).store.shelf.add([trace])
    workspaces.close()
    workspaces.close()
    place = tmp_path / "server" if home == "sqlite" else request.getfixturevalue("postgres_url")
    again = Workspaces.open(place)
    assert again.central.workspaces() == [made]
    assert again.get(made.id).store.traces() == [trace]
    again.close()


def test_its_commits_are_synced_and_it_reads_apart(workspace: OpenWorkspace) -> None:
    database = workspace._database
    if not isinstance(database, SQLiteDatabase):
        with database.read() as connection:
            assert connection.execute("SHOW transaction_isolation").fetchone()[0] == "repeatable read"
        return
    with database.write() as connection:
        # 2 is FULL.
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        with database.read() as reader:
            assert reader is not connection
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("DELETE FROM runs")


@pytest.mark.parametrize("home", ["sqlite"])
def test_a_folder_with_a_file_for_each(workspaces: Workspaces, tmp_path: Path) -> None:
    made = workspaces.central.create_workspace("one")
    workspaces.get(made.id)
    names = {path.name for path in (tmp_path / "server").iterdir() if path.suffix == ".db"}
    assert names == {"central.db", f"{made.id}.db"}


def test_an_address_of_something_else() -> None:
    with pytest.raises(
        ConfigError, match="begins with 'mysql'; give sqlite:///PATH or postgresql://"
    ) as caught:
        Workspaces.open("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)
