from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import Case, Run, Sample, Span, SpanKind, TaskSummary, Trace
from pytest_kaizen.store import Store

Command = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kaizen.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_STORE", raising=False)
    return tmp_path / ".kaizen" / "kaizen.db"


@pytest.fixture
def command(database: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kaizen plan …``; gives status, output and error output."""
    assert database

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(["plan", *arguments])
        except SystemExit as exc:
            status = int(str(exc.code))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def span(trace: str, kind: SpanKind, cost: float | None) -> Span:
    return Span(id=f"{trace}{kind}", name="chat", kind=kind, model="m", cost_usd=cost, started_at=NOW)


def add_run(
    path: Path,
    day: int,
    scores: Mapping[str, Sequence[float]],
    *,
    task: str = "sum",
    sha256: str = "a",
    cost: float | None = 0.01,
) -> None:
    """Store a run, by case the score of each sample; each is one call of the model and one of the judge."""
    with Store.open(path) as store:
        run = Run(id=f"run-{day}", created_at=datetime(2026, 3, day, tzinfo=UTC))
        store.start_run(run)
        for name, values in scores.items():
            case = Case(id=name, run_id=run.id, task=task)
            store.finish_case(case, begins=True)
            for number, value in enumerate(values):
                id_ = f"{run.id}-{name}-{number}"
                spans = [span(id_, SpanKind.LLM, cost), span(id_, SpanKind.JUDGE, 0.02)]
                trace = Trace(id=id_, name=name, created_at=NOW, sample=number, spans=spans)
                sample = Sample(trace=trace, passed=True, metrics={"score": value, "cost_usd": 0.01})
                sample.prompts = {task: (1, sha256)}
                store.add_sample(case, sample)
            store.finish_case(case)
        count = sum(map(len, scores.values()))
        run.tasks = [TaskSummary(task=task, cases=len(scores), collected=len(scores), samples=count)]
        run.status = "completed"
        store.finish_run(run)


def plan(command: Command, *arguments: str) -> dict[str, Any]:
    status, output, error = command("--task", "sum", *arguments, "--json")
    assert (status, error) == (0, "")
    found: dict[str, Any] = json.loads(output)
    return found


def test_says_how_many_and_what_they_cost(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.4, 0.6], "b": [0.7, 0.9]})
    status, output, error = command("--task", "sum", "--detect", "0.2")
    assert (status, error) == (0, "")
    facts = plan(command, "--detect", "0.2")
    bar, paired = facts["bar"], facts["baseline"]
    each = -(-bar["cases"] // 2)
    assert output.splitlines() == [
        "sum: score 0.65 over 2 cases and 4 samples from 1 run of prompt v1",
        "variance: 0.0350 between cases, 0.0200 within a case",
        "to tell a difference of 0.2 at confidence 0.95 in 80% of runs:",
        f"  against a bar: {bar['cases']} cases, 1 sample each: {bar['calls']} calls, ${bar['cost_usd']:.4f}",
        f"    or 2 cases as now, {each} samples each",
        f"  against a baseline: {paired['cases']} cases, 1 sample each: {paired['calls']} calls, "
        f"${paired['cost_usd']:.4f}",
    ]
    assert facts["per_sample"] == {"calls": 2, "cost_usd": pytest.approx(0.03)}
    assert bar["calls"] == 2 * bar["cases"]
    assert bar["cost_usd"] == pytest.approx(0.03 * bar["cases"])
    assert 10 < bar["cases"] < 100
    assert 10 < paired["cases"] < 100


def test_samples_stand_in_for_cases(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.2, 0.8], "b": [0.3, 0.9]})
    one, three = plan(command, "--detect", "0.2"), plan(command, "--detect", "0.2", "--samples", "3")
    assert three["bar"]["cases"] == -(-one["bar"]["cases"] // 3)
    assert three["bar"]["samples"] == 3 * three["bar"]["cases"]
    assert three["baseline"]["cases"] < one["baseline"]["cases"]


def test_confidence_and_power(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.2, 0.8], "b": [0.3, 0.9]})
    cases = plan(command, "--detect", "0.2")["bar"]["cases"]
    assert plan(command, "--detect", "0.2", "--confidence", "0.99")["bar"]["cases"] > cases
    assert plan(command, "--detect", "0.2", "--power", "0.5")["bar"]["cases"] < cases


def test_runs_made_alike_are_taken_together(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.1]}, sha256="older")
    add_run(database, 2, {"a": [0.4], "b": [0.8]})
    add_run(database, 3, {"a": [0.9]}, task="other")
    add_run(database, 4, {"a": [0.6], "b": [0.8]})
    stored = plan(command, "--detect", "0.2")["stored"]
    assert (stored["runs"], stored["prompt_versions"]) == (["run-4", "run-2"], [1])
    assert (stored["cases"], stored["samples"]) == (2, 4)
    assert stored["variance_within_cases"] == pytest.approx(0.01)


def test_runs_before_a_change_are_another_time(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.1]})
    add_run(database, 2, {"a": [0.4]}, sha256="between")
    add_run(database, 3, {"a": [0.6]})
    assert plan(command, "--detect", "0.2")["stored"]["runs"] == ["run-3"]


def test_one_sample_a_case_tells_nothing_of_pairs(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.4], "b": [0.8]})
    assert plan(command, "--detect", "0.2")["baseline"] is None
    _, output, _ = command("--task", "sum", "--detect", "0.2")
    assert "not known (no case has two samples) within a case" in output
    assert (
        "against a baseline: not known while no case has two samples; run `pytest --kaizen` once more "
        "without changing anything" in output
    )


def test_a_cost_that_is_not_known(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.4, 0.6]}, cost=None)
    assert plan(command, "--detect", "0.2")["bar"]["cost_usd"] is None
    _, output, _ = command("--task", "sum", "--detect", "0.2")
    assert "calls, cost not known" in output


def test_a_difference_that_is_too_small(command: Command, database: Path) -> None:
    add_run(database, 1, {"a": [0.0, 1.0], "b": [1.0, 0.0]})
    status, output, _ = command("--task", "sum", "--detect", "0.002")
    assert status == 0
    assert "against a bar: more than 5000 samples; give a greater difference" in output


def test_no_store(command: Command) -> None:
    status, _, error = command("--task", "sum", "--detect", "0.05")
    assert status == 1
    assert "pytest --kaizen" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--task", "sun", "--detect", "0.1"),
            "the store holds no scores of task 'sun' (tasks there: sum); run `pytest --kaizen` first",
        ),
        (
            ("--task", "sum", "--detect", "0.1", "--metric", "warmth"),
            "task 'sum' has no scores named 'warmth' (there: score); name one with --metric",
        ),
        (
            ("--task", "sum", "--detect", "0.1", "--metric", "cost_usd"),
            "--metric: expected a score in [0, 1] (found the budget 'cost_usd')",
        ),
        (("--task", "sum", "--detect", "0.9"), "--detect: no bar lies 0.9 away from the mean of 0.50"),
        (("--task", "sum", "--detect", "5%"), "expected a number between 0 and 1 (found '5%')"),
        (
            ("--task", "sum", "--detect", "0.1", "--confidence", "0.5"),
            "expected a number between 0.5 and 1 (found '0.5')",
        ),
        (
            ("--task", "sum", "--detect", "0.1", "--power", "1"),
            "expected a number between 0 and 1 (found '1')",
        ),
        (
            ("--task", "sum", "--detect", "0.1", "--samples", "0"),
            "expected a whole number, 1 or more (found '0')",
        ),
        (("--detect", "0.1"), "--task"),
    ],
)
def test_wrong_usage(command: Command, database: Path, arguments: tuple[str, ...], message: str) -> None:
    add_run(database, 1, {"a": [0.5]})
    status, output, error = command(*arguments)
    assert (status, output) == (2, "")
    assert message in error
