from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_kaizen.store.search import parse_query
from pytest_kaizen.store.search_index import SQLiteSearch


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE traces (number INTEGER PRIMARY KEY, task TEXT)")
    opened.executemany("INSERT INTO traces VALUES (?, ?)", [(n, "ab"[n % 2]) for n in range(1, 101)])
    SQLiteSearch().prepare(opened)
    SQLiteSearch().put(opened, {n: f"needle {n}" for n in range(1, 101)})
    yield opened
    opened.close()


def test_what_is_found_comes_as_one_row(connection: sqlite3.Connection) -> None:
    """With each row another thread may take Python's lock, and a search waits for it."""
    rows: list[Any] = []

    def made(_cursor: sqlite3.Cursor, row: Any) -> Any:
        rows.append(row)
        return row

    connection.row_factory = made
    index = SQLiteSearch()
    assert index.find(connection, parse_query("needle"), None, 60) == list(range(100, 40, -1))
    assert index.find(connection, parse_query("needle"), "b", 3) == [99, 97, 95]
    assert index.find(connection, parse_query("hay"), None, 3) == []
    assert len(rows) == 3


def test_texts_are_read_with_one_statement(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    assert SQLiteSearch().texts(connection, [7, 3, 999]) == {3: "needle 3", 7: "needle 7"}
    assert len(statements) == 1
    assert SQLiteSearch().texts(connection, []) == {}
