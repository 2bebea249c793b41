from __future__ import annotations

from datetime import UTC, datetime

from pytest_kaizen.models import Fall, GateResult, Outcome, Run, Scope, TaskChanges, TaskSummary
from pytest_kaizen.report.documents import run_markdown


def gate(outcome: Outcome, sentence: str, case: str | None = None) -> GateResult:
    scope = Scope.TASK if case is None else Scope.CASE
    return GateResult(
        scope=scope,
        task="greet",
        case_id=case,
        name="score",
        bar=">= 0.8",
        outcome=outcome,
        sentence=sentence,
    )


def run(*gates: GateResult, changes: TaskChanges | None = None) -> Run:
    task = TaskSummary(
        task="greet", cases=2, collected=2, samples=2, score=0.5, gates=list(gates), changes=changes
    )
    return Run(
        id="run-1", created_at=datetime(2026, 1, 2, tzinfo=UTC), tasks=[task], branch="topic", notes=["n"]
    )


def test_a_run_that_passed() -> None:
    passed = gate(Outcome.PASS, "score 0.90 >= 0.80: pass")
    assert run_markdown(run(passed), [passed], []).splitlines() == [
        "## kaizen",
        "",
        "✅ `1 gate decided over 2 cases: all passed (run run-1)`",
        "",
        "| task | cases | samples | score | pass | prompt | calls | tokens | cost | p50/p95 | gate |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| `greet` | `2` | `2` | `0.50` |  |  | `0` |  |  |  | `pass` |",
        "",
        "- ✅ `greet: score 0.90 >= 0.80: pass`",
        "",
        "- `n`",
        "",
        "run `run-1` · branch `topic`",
    ]


def test_what_failed_stands_first_and_case_by_case() -> None:
    task, case = gate(Outcome.FAIL, "score low"), gate(Outcome.UNDECIDED, "a|b @you", "t.py::test_a")
    text = run_markdown(run(task), [task, case], [task])
    assert "❌ `FAILED on a whole task: greet: score low`" in text
    assert "| `t.py::test_a` | ⚠️ `a\\|b @you` |" in text


def test_a_failed_case_alone_is_no_tick() -> None:
    case = gate(Outcome.FAIL, "bad", "t.py::test_a")
    assert "❌ `1 gate decided over 2 cases: 1 not passed (run run-1)`" in run_markdown(run(), [case], [])


def test_no_more_cases_than_anybody_reads() -> None:
    cases = [gate(Outcome.FAIL, "bad", f"t.py::test_{number}") for number in range(53)]
    text = run_markdown(run(), cases, [])
    assert text.count("`t.py::test_") == 50
    assert "and 3 more" in text


def test_changes_since_the_baseline_stand_in_a_fence() -> None:
    changes = TaskChanges(
        since="base.json", paired=2, score=Fall(name="score", before=0.9, now=0.5), prompt_diff=["-```", "+x"]
    )
    lines = run_markdown(run(changes=changes), [], []).splitlines()
    start = lines.index("````diff")
    assert lines[start + 1] == "greet: since base.json: score 0.90 to 0.50 over 2 cases in both"
    assert lines[lines.index("````") - 1].strip() == "+x"
