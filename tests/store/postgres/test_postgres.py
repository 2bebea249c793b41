"""What is PostgreSQL's own: its errors in words, its values as SQLite gives them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.store import Store, migrations
from pytest_kaizen.store.database import Schema
from pytest_kaizen.store.opening import open_database


class Colour(StrEnum):
    RED = "red"


def refused(where: str, **options: Any) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(where, **options)
    return str(caught.value)


def execute(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_values_come_back_as_from_sqlite(postgres_url: str, tmp_path: Path) -> None:
    def values(where: Path | str) -> list[Any]:
        database = open_database(where, migrations.STORE, readonly=False, timeout=60)
        with database.write() as connection:
            connection.execute("CREATE TABLE v (t TEXT, i INTEGER, r REAL, b BLOB)")
            connection.execute("INSERT INTO v VALUES (?, ?, ?, ?)", (Colour.RED, True, float("nan"), b"\0x"))
            connection.execute("INSERT INTO v VALUES (?, ?, ?, ?)", ("b", 2**40, float("inf"), None))
            row = connection.execute("SELECT SUM(i), AVG(i), COUNT(*), MAX(r) FROM v").fetchone()
            rows = connection.execute("SELECT t, i, r, b FROM v ORDER BY t DESC").fetchall()
        database.close()
        found = [*row, *(value for row in rows for value in row)]
        return [(type(value), value) for value in found]

    assert values(postgres_url) == values(tmp_path / "x.db")


def test_texts_are_ordered_by_their_code_points(postgres_url: str, make: Any) -> None:
    with Store.open(postgres_url) as store:
        traces = [make.trace(id=name) for name in ("B", "a", "ä", "_", "\U0001f600")]
        store.shelf.add(traces)
        with store._database.read() as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM traces ORDER BY id").fetchall()]
    assert ids == ["B", "_", "a", "ä", "\U0001f600"]


def test_a_server_that_is_not_there() -> None:
    message = refused("postgresql://me:secret@/db?host=/nowhere")
    assert message.startswith("postgresql:///nowhere/db: cannot connect: ")
    assert message.endswith("look whether the server runs and the URL is right")
    assert "secret" not in message


def test_a_url_that_is_none() -> None:
    message = refused("postgresql://me:sec%ret@host/db")
    assert message.startswith("the URL of the PostgreSQL server cannot be understood; give postgresql://USER")
    assert "sec" not in message


def test_another_programs_schema(postgres_url: str) -> None:
    execute(
        postgres_url, "DROP SCHEMA kaizen CASCADE", "CREATE SCHEMA kaizen", "CREATE TABLE kaizen.t (a int)"
    )
    assert refused(postgres_url).endswith("belongs to another program; choose another database")


def test_a_store_of_a_newer_release(postgres_url: str) -> None:
    execute(postgres_url, "UPDATE kaizen.kaizen_version SET steps = 99")
    known = len(migrations.MIGRATIONS)
    message = refused(postgres_url)
    assert f"has store version 99, and this pytest-kaizen knows versions up to {known}" in message


def test_reading_makes_nothing(postgres_url: str) -> None:
    execute(postgres_url, "DROP SCHEMA kaizen CASCADE")
    assert "there is no store here yet" in refused(postgres_url, readonly=True)
    assert "there is no store here yet" in refused(postgres_url, readonly=True)


def test_a_database_without_unicode(postgres_server: Callable[[str], str], postgres_url: str) -> None:
    execute(postgres_url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    assert "the database has the encoding LATIN1" in refused(postgres_server("latin"))


def test_another_writer_that_does_not_end(postgres_url: str, make: Any) -> None:
    with Store.open(postgres_url) as holder, Store.open(postgres_url, timeout=3) as store:
        with holder._database.write():
            with pytest.raises(StoreError, match="another process has been writing for too long") as caught:
                store.start_run(make.run())
            assert caught.value.transient
            assert store.runs() == []
        store.start_run(make.run())


def test_a_server_that_was_started_anew(postgres_url: str, make: Any) -> None:
    """The connections that were idle are dead; nobody notices."""
    with Store.open(postgres_url) as store:
        store.start_run(make.run())
        with Store.open(postgres_url) as other, other._database.write() as connection:
            # With the milliseconds that it waits for their ends.
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
            assert set(ended) == {(True,)}
        assert [run.id for run in store.runs()] == ["run-1"]


def test_an_error_that_was_swallowed_stores_nothing(postgres_url: str) -> None:
    def swallow(store: Store) -> None:
        with store._database.write() as connection:
            connection.execute("INSERT INTO reflections (key, answer) VALUES ('a', '1')")
            with suppress(connection.IntegrityError):
                connection.execute("INSERT INTO reflections (key) VALUES ('b')")

    with Store.open(postgres_url) as store:
        with pytest.raises(StoreError, match="a statement of the transaction had failed"):
            swallow(store)
        assert store.reflection("a") is None


def test_steps_are_taken_once_by_many_at_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(postgres_url, "DROP SCHEMA kaizen CASCADE")
    taken: list[str] = []

    def step(connection: Any) -> None:
        taken.append("step")
        connection.execute("CREATE TABLE only_once (a INTEGER)")

    monkeypatch.setattr(migrations, "STORE", Schema(1, (step,)))
    errors: list[Exception] = []

    def work() -> None:
        try:
            Store.open(postgres_url).close()
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert taken == ["step"]


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert refused("postgresql://host/db") == (
        "a store on PostgreSQL needs psycopg: pip install 'pytest-kaizen[server]'"
    )


@pytest.mark.parametrize("count", [1, 63, 64, 200])
def test_rows_that_are_put_off_are_there_for_whoever_looks(postgres_url: str, count: int) -> None:
    database = open_database(postgres_url, migrations.STORE, readonly=False, timeout=60)
    rows = [(number, f"row {number}") for number in range(count)]
    insert = "INSERT INTO v (n, t) VALUES (?, ?)"
    with database.write() as connection:
        connection.execute("CREATE TABLE v (n INTEGER UNIQUE, t TEXT)")
        connection.executemany(insert, rows)
        connection.execute(insert, (-1, "one more"))
        assert connection.execute("SELECT count(*) FROM v").fetchone() == (count + 1,)
        connection.executemany(insert, [(-2, "at the end")])
    with database.read() as connection:
        found = connection.execute("SELECT n, t FROM v ORDER BY n").fetchall()
    assert found == [(-2, "at the end"), (-1, "one more"), *rows]
    with suppress(StoreError), database.write() as connection:
        connection.execute(insert, (-3, "before"))
        connection.executemany(insert, [(-2, "is there already")])
    with database.read() as connection:
        assert connection.execute("SELECT min(n) FROM v").fetchone() == (-2,)
    database.close()
