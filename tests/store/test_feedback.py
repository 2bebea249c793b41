"""Tasks and their feedback in the store."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import FeedbackEntry, Job, Task
from pytest_kaizen.store import Store, feedback

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_task(name: str = "triage", **fields: Any) -> Task:
    return Task(name=name, created_at=NOW, **fields)


def an_entry(task: Task, number: int = 0, **fields: Any) -> FeedbackEntry:
    given = {"inputs": {"ticket": f"ticket {number}"}, "created_at": NOW + timedelta(seconds=number)}
    return FeedbackEntry(task_id=task.id, **{**given, **fields})


@pytest.fixture
def task(store: Store) -> Task:
    made = a_task(evaluator_config={"type": "judge"}, git_repo="acme/bot", cost_budget=2.5)
    assert store.tasks.add(made)
    return made


def test_a_task_comes_back_by_id_and_by_name(store: Store, task: Task) -> None:
    assert store.tasks.find(task.id) == task
    assert store.tasks.find("triage") == task
    assert store.tasks.find("other") is None
    assert not store.tasks.add(a_task())
    assert store.tasks.find("triage") == task
    other = a_task("other")
    assert store.tasks.add(other)
    assert [found.name for found in store.tasks.newest()] == ["other", "triage"]
    assert [found.name for found in store.tasks.newest(1, 1)] == ["triage"]


def test_a_task_changes_and_goes_with_its_feedback(store: Store, task: Task) -> None:
    kept = a_task("kept")
    store.tasks.add(kept)
    for owner in (task, kept):
        store.feedback.add(owner, an_entry(owner))
    task.judge_model = "claude-opus-4-5"
    assert store.tasks.update(task)
    assert store.tasks.find("triage") == task
    assert store.tasks.delete(task.id)
    assert not store.tasks.delete(task.id)
    assert not store.tasks.update(task)
    assert store.tasks.find("triage") is None
    assert store.feedback.newest(task.id) == []
    assert len(store.feedback.newest(kept.id)) == 1


def test_entries_come_back_newest_first(store: Store, task: Task) -> None:
    entries = [
        an_entry(task, number, output="urgent", score=0.5, metadata={"user": 7}) for number in range(4)
    ]
    for entry in entries[:3]:
        store.feedback.add(task, entry)
    last = store.feedback.last(task.id)
    store.feedback.add(task, entries[3])
    assert store.feedback.newest(task.id) == entries[::-1]
    assert store.feedback.newest(task.id, limit=2, offset=1) == [entries[2], entries[1]]
    assert store.feedback.newest(task.id, last=last) == entries[2::-1]
    with pytest.raises(StoreError):
        store.feedback.add(task, entries[0])


def test_only_the_newest_are_kept_and_all_seeds(store: Store) -> None:
    task = a_task(feedback_threshold=3, feedback_retention_limit=3)
    store.tasks.add(task)
    for number in range(2):
        store.feedback.add(task, an_entry(task, number, source="seed"))
    for number in range(2, 7):
        store.feedback.add(task, an_entry(task, number))
    kept = [(entry.inputs or {})["ticket"] for entry in store.feedback.newest(task.id)]
    assert kept == ["ticket 6", "ticket 5", "ticket 4", "ticket 1", "ticket 0"]


def test_what_counts_is_no_seed_and_not_seen_by_a_search(store: Store, task: Task) -> None:
    assert store.feedback.count(task.id).fresh == 0
    store.feedback.add(task, an_entry(task, source="seed"))
    for number in range(3):
        store.feedback.add(task, an_entry(task, number))
    count = store.feedback.count(task.id)
    assert (count.total, count.fresh) == (4, 3)
    last = store.feedback.last(task.id)
    store.feedback.add(task, an_entry(task, 9))
    store.feedback.mark_seen(task.id, last)
    assert store.feedback.count(task.id).fresh == 1
    # A search that ended later, and had begun earlier, takes nothing back.
    store.feedback.mark_seen(task.id, last - 1)
    assert store.feedback.count(task.id).fresh == 1
    task.description = "changed"
    store.tasks.update(task)
    assert store.feedback.count(task.id).fresh == 1


def test_one_entry_about_a_trace(store: Store, task: Task) -> None:
    first = an_entry(task, 1, trace_id="t1", score=0.2)
    store.feedback.add(task, first)
    store.feedback.add(task, an_entry(task, 2))
    store.feedback.add(task, an_entry(task, 3, trace_id="t1", score=0.9, output="again"))
    other, scored = store.feedback.newest(task.id)
    assert (scored.id, scored.score, scored.output) == (first.id, 0.9, "again")
    assert other.trace_id is None


@pytest.mark.parametrize(
    "query",
    [
        feedback.TASK_BY_ID,
        feedback.TASK_BY_NAME,
        feedback.NEWEST_TASKS,
        feedback.NEWEST,
        feedback.COUNT,
        feedback.LAST,
    ],
)
@pytest.mark.parametrize("home", ["sqlite"])
def test_queries_use_indexes(raw: sqlite3.Connection, query: str) -> None:
    steps = raw.execute(f"EXPLAIN QUERY PLAN {query}", [1] * query.count("?")).fetchall()
    plan = [row[3] for row in steps]
    scans = [step for step in plan if step.startswith("SCAN")]
    assert scans == (["SCAN tasks"] if query == feedback.NEWEST_TASKS else [])
    assert [step for step in plan if "TEMP B-TREE" in step] == []


def test_one_job_when_the_threshold_is_reached(store: Store) -> None:
    task = a_task(feedback_threshold=3)
    store.tasks.add(task)

    def due(number: int) -> bool:
        job = Job(id=f"job-{number}", kind="optimize", task=task.name, created_at=NOW)
        return store.feedback.add_job_if_due(task, job, silent_since=NOW - timedelta(minutes=1))

    store.feedback.add(task, an_entry(task, source="seed"))
    for number in range(2):
        store.feedback.add(task, an_entry(task, number))
    assert not due(0)
    store.feedback.add(task, an_entry(task, 2))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(due, range(1, 17))) == [False] * 15 + [True]
    [job] = store.jobs.newest(task.name)
    store.feedback.mark_seen(task.id, store.feedback.last(task.id))
    store.jobs.stop(job.id, NOW)
    assert not due(17)
