"""Lists use indexes: no query walks a whole table, and the time order needs no sorting."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable

import pytest

from pytest_kaizen.store import jobs, ledger, observing, outbox, prompts, runs, table, traces
from pytest_kaizen.store.observing import annotations_query as newest_annotations
from pytest_kaizen.store.observing import means_query


@pytest.fixture
def home() -> str:
    return "sqlite"


def plan(raw: sqlite3.Connection, query: str) -> list[str]:
    values = ["x"] * query.count("?")
    return [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()]


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    names = list(names)
    return [chosen for size in range(4) for chosen in itertools.combinations(names, size)]


@pytest.mark.parametrize("filters", subsets(["run_id", "task", "case_id"]), ids="+".join)
def test_lists_of_traces(raw: sqlite3.Connection, filters: tuple[str, ...]) -> None:
    steps = plan(raw, traces.list_query(filters))
    scans = [step for step in steps if step.startswith("SCAN") and " USING INDEX " not in step]
    assert scans == []
    if not {"run_id", "case_id"} & set(filters):
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    else:
        assert any("USING INDEX traces_by_case" in step for step in steps)


@pytest.mark.parametrize(
    "query",
    [
        runs.NEWEST,
        runs.ONE,
        runs.SUMMARIES_OF_RUN,
        runs.PLACE,
        runs.ONE_CASE,
        outbox.OLDEST,
        outbox.OF_RUN,
        outbox.REASONS,
        observing.AGENT_RUN,
        observing.NEWEST_AGENT_RUNS,
        observing.SCORES_OF_AGENT,
        newest_annotations({"trace_id": "t"}),
        newest_annotations({"label": "l"}),
        newest_annotations({"trace_id": "t", "label": "l"}),
        traces.CORRELATED,
        traces.SAMPLE,
        traces.SAMPLES,
        traces.ONE,
        traces.SPANS_OF_TRACE,
        traces.SCORES_OF_TRACE,
        runs.GATES_OF_CASE,
        runs.GATES_OF_SUMMARY,
        ledger.ANSWER,
        ledger.CALIBRATIONS_OF_RUBRIC,
        prompts.ALL,
        prompts.OF_TASK,
        prompts.ONE,
        jobs.BY_ID,
        jobs.BY_UUID,
        jobs.select_query({"kind": 1}, limited=True),
        jobs.select_query({"task": 1}, limited=True),
        jobs.select_query({"task": 1, "kind": 1}, limited=True),
        jobs.select_query({"task": 1, "kind": 1, "status": 1}, limited=True),
        table.newest_query("traces"),
        table.newest_query("runs"),
        table.beginning_query("traces"),
    ],
)
def test_other_queries(raw: sqlite3.Connection, query: str) -> None:
    steps = plan(raw, query)
    assert [step for step in steps if step.startswith("SCAN") and " USING " not in step] == []
    assert [step for step in steps if "TEMP B-TREE" in step] == []


def test_the_active_jobs_are_found_among_all(raw: sqlite3.Connection) -> None:
    assert plan(raw, jobs.ACTIVE) == [
        "SCAN jobs USING INDEX one_active_job",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


def test_the_last_whole_run_is_found_from_the_newest_on(raw: sqlite3.Connection) -> None:
    steps = raw.execute(f"EXPLAIN QUERY PLAN {runs.LAST_WHOLE}", ("t", None))
    assert [step[3] for step in steps] == [
        "SCAN runs USING INDEX runs_by_time",
        "SEARCH task_summaries USING INDEX sqlite_autoindex_task_summaries_1 (run=?)",
    ]


@pytest.mark.parametrize("query", [runs.CASES_OF_RUN, runs.CASES_OF_TASK])
def test_the_cases_of_a_run_are_found_and_then_sorted(raw: sqlite3.Connection, query: str) -> None:
    assert plan(raw, query) == [
        "SEARCH cases USING INDEX sqlite_autoindex_cases_1 (run=?)",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


def test_the_samples_of_a_task_are_found_by_their_cases(raw: sqlite3.Connection) -> None:
    assert plan(raw, traces.OUTLINES) == [
        "SEARCH cases USING INDEX sqlite_autoindex_cases_1 (run=?)",
        "SEARCH traces USING INDEX traces_by_case (case_number=? AND attempt=?)",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


def test_the_scores_of_an_experiment_are_found_by_its_traces(raw: sqlite3.Connection) -> None:
    steps = plan(raw, means_query(3))
    assert [step for step in steps if step.startswith("SCAN")] == []
    assert "SEARCH traces USING INDEX traces_by_correlation (correlation_id=?)" in steps
