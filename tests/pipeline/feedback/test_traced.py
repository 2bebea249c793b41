"""Scores of traces outside pytest as feedback, where a task says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen import trace
from pytest_kaizen.models import FeedbackEntry, Score, ScoreSource, Task, Trace
from pytest_kaizen.pipeline.feedback import entry_of_trace
from pytest_kaizen.pipeline.tracing.process import close_process
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The store of a program outside pytest, with a task for each source of feedback."""
    monkeypatch.chdir(tmp_path)
    for name in ("PYTEST_VERSION", "KAIZEN_API_KEY", "KAIZEN_BASE_URL", "KAIZEN_STORE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / ".kaizen/kaizen.db"
    with Store.open(path) as store:
        for source in ("traces", "sdk"):
            store.tasks.add(Task(name=f"by_{source}", feedback_source=source, created_at=NOW))
    close_process()
    yield path
    close_process()


def feedback(path: Path, name: str) -> list[FeedbackEntry]:
    with Store.open(path, readonly=True) as store:
        task = store.tasks.find(name)
        assert task is not None
        return store.feedback.newest(task.id)


def test_a_score_is_feedback_and_another_one_takes_its_place(database: Path) -> None:
    for task in ("by_traces", "by_sdk", "unknown"):
        with trace("step", task=task) as step:
            step.input = {"ticket": "The lamp flickers."}
            step.output = {"urgent": True}
            step.score(0.4)
        if task == "by_traces":
            [entry] = feedback(database, task)
            assert (entry.score, entry.inputs) == (0.4, {"ticket": "The lamp flickers."})
        step.score(0.9)
    [entry] = feedback(database, "by_traces")
    assert (entry.score, entry.output, entry.source) == (0.9, '{"urgent": true}', "sdk")
    assert entry.trace_id == step.trace_id or entry.trace_id
    assert feedback(database, "by_sdk") == []


def test_a_trace_without_a_score_is_none(database: Path) -> None:
    with trace("step", task="by_traces") as step:
        step.input = "x"
    assert feedback(database, "by_traces") == []


@pytest.mark.parametrize(
    ("given", "inputs"), [({"a": 1}, {"a": 1}), ("x", {"input": "x"}), (None, None), ([1], {"input": [1]})]
)
def test_what_is_no_mapping_is_named_input(given: Any, inputs: dict[str, Any] | None) -> None:
    made = Trace(id="t", name="n", created_at=NOW, input=given, output=None)
    task = Task(name="t", created_at=NOW)
    judged = Score(name="s", value=0.5, source=ScoreSource.JUDGE)
    entry = entry_of_trace(made, judged, task)
    assert (entry.inputs, entry.output, entry.source, entry.trace_id) == (inputs, None, "auto_eval", "t")
    person = judged.model_copy(update={"source": ScoreSource.HUMAN})
    assert entry_of_trace(made, person, task).source == "user_rating"
