from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import (
    Case,
    Message,
    Part,
    Run,
    Sample,
    Score,
    ScoreSource,
    Span,
    Trace,
    Usage,
    new_span_id,
    new_trace_id,
)
from pytest_kaizen.store import Store
from pytest_kaizen.store.sqlite import SQLiteDatabase
from pytest_kaizen.store.workspaces import OpenWorkspace, Workspaces

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Make:
    """Things to store, each a minute after the one before."""

    def __init__(self) -> None:
        self._minutes = 0

    def time(self) -> datetime:
        self._minutes += 1
        return START + timedelta(minutes=self._minutes)

    def run(self, run_id: str = "run-1", **fields: Any) -> Run:
        return Run(**{"id": run_id, "created_at": self.time(), **fields})

    def case(self, case_id: str = "test_a.py::test_a", **fields: Any) -> Case:
        return Case(**{"id": case_id, "run_id": "run-1", "task": "sum", **fields})

    def trace(self, **fields: Any) -> Trace:
        now = self.time()
        span = Span(
            id=new_span_id(),
            name="chat",
            provider="anthropic",
            model="claude-haiku-4-5",
            started_at=now,
            latency_ms=12.5,
            cost_usd=0.001,
            usage=Usage(input_tokens=10, output_tokens=5),
            input=[Message(role="user", parts=[Part(type="text", content="hello")])],
            output=[Message(role="assistant", parts=[Part(type="text", content="hi")])],
        )
        score = Score(name="polite", value=1.0, source=ScoreSource.CHECK)
        defaults = {
            "id": new_trace_id(),
            "run_id": "run-1",
            "task": "sum",
            "case_id": "test_a.py::test_a",
            "name": "test_a",
            "created_at": now,
            "spans": [span],
            "scores": [score],
        }
        return Trace(**{**defaults, **fields})

    def sample(self, **fields: Any) -> Sample:
        return Sample(trace=self.trace(**fields), passed=True, metrics={"score": 1.0})


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".kaizen" / "kaizen.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    """Where the store lies; a file of tests for one home only overrides it."""
    name: str = request.param
    return name


@pytest.fixture
def where(home: str, path: Path, request: pytest.FixtureRequest) -> Path | str:
    if home == "sqlite":
        return path
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def workspaces(home: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workspaces]:
    """A server's store."""
    place = tmp_path / "server" if home == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Workspaces.open(place)
    yield opened
    opened.close()


@pytest.fixture
def workspace(workspaces: Workspaces) -> OpenWorkspace:
    return workspaces.get(workspaces.central.create_workspace("first").id)


@pytest.fixture
def store(where: Path | str) -> Iterator[Store]:
    with Store.open(where) as opened:
        yield opened


@pytest.fixture
def raw(store: Store) -> sqlite3.Connection:
    """The connection of a store on SQLite."""
    assert isinstance(store._database, SQLiteDatabase)
    return store._database._connection


@pytest.fixture
def started(store: Store, make: Make) -> Callable[..., Case]:
    """Start cases; the first call starts the run ``run-1`` too."""
    runs: list[Run] = []

    def start(case_id: str = "test_a.py::test_a", **fields: Any) -> Case:
        if not runs:
            runs.append(make.run())
            store.start_run(runs[0])
        case = make.case(case_id, **fields)
        store.finish_case(case.model_copy(update={"complete": False}), begins=True)
        return case

    return start
