from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import Case, GateSpec, MetricMean, Outcome, Run, Sample, Scope, Trace
from pytest_kaizen.pipeline.baseline import Baselines, FoundBaseline, task_baseline
from pytest_kaizen.pipeline.tally import TaskTally

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUN = Run(id="r", created_at=NOW, revision="c0ffee")
SPEC = GateSpec(metric="warmth", max_drop=0.1, scope=Scope.TASK, task="greet")


def tally(**cases: list[float | None]) -> TaskTally:
    """Make the figures of a task from the scores of each case's samples; None is a score that is missing."""
    found = TaskTally("greet")
    for name, values in cases.items():
        samples = [
            Sample(
                trace=Trace(id=f"{name}{number}", name=name, created_at=NOW),
                metrics={"calls": 1.0} if value is None else {"calls": 1.0, "warmth": value},
                prompts={"greet": (number + 1, "ab"), "other": (9, "cd")},
                rubrics={"tone": "ef"},
            )
            for number, value in enumerate(values)
        ]
        found.add(Case(id=name, run_id="r", task="greet", samples=samples), ["warmth"])
    return found


def baselines(before: TaskTally) -> Baselines:
    return Baselines({"greet": FoundBaseline("base.json", task_baseline(before, RUN))})


def test_the_baseline_of_several_samples() -> None:
    found = task_baseline(tally(a=[0.2, 0.4, None], b=[None]), RUN)
    assert found.cases == {"a": {"warmth": MetricMean(mean=0.3, samples=2)}, "b": {}}
    assert [prompt.version for prompt in found.prompts] == [1, 2, 3]
    assert found.rubrics == {"tone": "ef"}
    assert (found.created.isoformat(), found.revision) == ("2026-03-01", "c0ffee")


def test_cases_are_compared_by_their_means() -> None:
    before = tally(a=[0.8], b=[0.6, 0.8, 1.0])
    result = baselines(before).task_gate(SPEC, tally(a=[0.6, 0.8], b=[0.8]), 2)
    assert result.figure == pytest.approx(0.05)
    assert (result.outcome, result.samples) == (Outcome.PASS, 2)


def test_a_case_that_lacks_one_of_its_scores_is_missing() -> None:
    before = tally(a=[0.8], b=[0.8])
    result = baselines(before).task_gate(SPEC, tally(a=[0.8], b=[0.8, None]), 2)
    assert (result.outcome, result.missing, result.samples) == (Outcome.UNDECIDED, 1, 1)


def test_a_baseline_of_other_cases_leaves_it_undecided() -> None:
    result = baselines(tally(old=[0.8])).task_gate(SPEC, tally(new=[0.1]), 1)
    assert result.outcome is Outcome.UNDECIDED
    assert result.sentence == (
        "warmth drop <= 0.10: undecided: no case stands in the baseline; new: new; removed: old"
    )
