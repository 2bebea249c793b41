"""Which measure a search takes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_kaizen.config import load_config
from pytest_kaizen.models import FeedbackEntry, Run, Task, TaskSummary
from pytest_kaizen.pipeline.feedback.measure import FeedbackMeasure
from pytest_kaizen.pipeline.measures import SuiteMeasure, measure_for, source_of
from pytest_kaizen.pipeline.search import Search
from pytest_kaizen.pipeline.suite import Launch
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_feedback_where_there_is_some_and_no_run_of_tests(tmp_path: Path) -> None:
    with Store.open(tmp_path / "kaizen.db") as store:
        assert source_of(store, "greet") == "suite"
        task = Task(name="greet", created_at=NOW)
        store.tasks.add(task)
        assert source_of(store, "greet") == "suite"
        store.feedback.add(task, FeedbackEntry(task_id=task.id, created_at=NOW))
        assert source_of(store, "greet") == "feedback"
        run = Run(id="r", created_at=NOW)
        store.start_run(run)
        run.status = "completed"
        run.tasks = [TaskSummary(task="greet", cases=2, collected=2, samples=2)]
        store.finish_run(run)
        assert source_of(store, "greet") == "suite"


def test_the_source_makes_the_measure(tmp_path: Path) -> None:
    config = load_config(tmp_path, env={})
    with Store.open(tmp_path / "kaizen.db") as store:
        launch = Launch(tmp_path)
        suite = measure_for(config, store, Search("greet"), launch)
        assert isinstance(suite, SuiteMeasure)
        assert isinstance(
            measure_for(config, store, Search("greet", source="feedback"), launch), FeedbackMeasure
        )
        # A search that was broken off before it had a suite has nothing to end.
        suite.close()
