"""Steps from one version of the schema to the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.store import Store, database, migrations


def add_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE later (name TEXT)")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (name TEXT)")
    raise sqlite3.OperationalError("no luck")


def known(monkeypatch: pytest.MonkeyPatch, *steps: migrations.Migration) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(database, "MIGRATIONS", steps)


def look(path: Path) -> tuple[int, set[str]]:
    connection = sqlite3.connect(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return version, tables


@pytest.fixture
def old(path: Path, make: Any) -> Path:
    with Store.open(path) as store:
        store.start_run(make.run())
    return path


@pytest.mark.parametrize("readonly", [False, True])
def test_an_older_store_takes_the_steps_it_lacks(
    old: Path, monkeypatch: pytest.MonkeyPatch, readonly: bool
) -> None:
    version, tables = look(old)
    known(monkeypatch, *migrations.MIGRATIONS, add_table)
    with Store.open(old, readonly=readonly) as store:
        assert store.run("last").id == "run-1"
    assert look(old) == (version + 1, tables | {"later"})
    Store.open(old).close()
    assert look(old) == (version + 1, tables | {"later"})


def test_steps_that_fail_leave_the_store_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = look(old)
    known(monkeypatch, *migrations.MIGRATIONS, add_table, fail)
    with pytest.raises(StoreError, match="no luck"):
        Store.open(old)
    assert look(old) == before
