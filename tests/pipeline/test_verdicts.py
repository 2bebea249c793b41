from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.models import GateResult, Outcome, Scope
from pytest_kaizen.pipeline import NO_TASK, CasePlan, failure_text
from pytest_kaizen.pipeline.tally import why_missing

if TYPE_CHECKING:
    from pytest_kaizen.models import Sample
    from tests.pipeline.conftest import Make

PLAN = CasePlan(case_id="t.py::t", name="t", task="greet", asked=True)


def gate(name: str, sentence: str) -> GateResult:
    return GateResult(
        scope=Scope.CASE, task="greet", name=name, bar=">= 0.50", outcome=Outcome.FAIL, sentence=sentence
    )


def scored(make: Make, *scores: Any, output: str | None = "out") -> Sample:
    sample = make.sample()
    sample.trace.scores = list(scores)
    sample.trace.output = output
    return sample


@pytest.mark.parametrize(
    ("metrics", "missing", "reason"),
    [
        ({}, {"warmth": "warmth: timed out"}, "warmth: timed out"),
        ({}, {}, "no score named 'warmth' was given"),
        ({"score": 1.0, "calls": 1.0, "pass_rate": 1.0}, {}, "no score named 'warmth' was given"),
        ({"b": 1.0, "a": 1.0}, {}, "no score named 'warmth' was given (there were a, b)"),
    ],
)
def test_why_missing(make: Make, metrics: dict[str, float], missing: dict[str, str], reason: str) -> None:
    assert why_missing("warmth", make.sample(metrics=metrics, missing=missing)) == reason


def test_the_lowest_criterion_is_named_once_with_its_reason(make: Make) -> None:
    sample = scored(
        make,
        make.score("r.a", 0.6, rubric="r", reason="so so"),
        make.score("r.b", 0.1, rubric="r", reason="it\n  lies"),
        make.score("r.c", rubric="r", error="timed out"),
        make.score("r", 0.35, rubric="r"),
        make.score("other.z", 0.0, rubric="other"),
    )
    text = failure_text(PLAN, [sample], [gate("r", "r low"), gate("r.b", "r.b low")])
    assert text.splitlines() == ["r low", "r.b low", "lowest criterion: r.b 0.10: it lies", "(task greet)"]


def test_a_gate_on_score_looks_at_every_rubric(make: Make) -> None:
    sample = scored(make, make.score("r.a", 0.6, rubric="r"), make.score("s.b", 0.2, rubric="s"))
    assert "lowest criterion: s.b 0.20" in failure_text(PLAN, [sample], [gate("score", "low")])


def test_a_gate_on_a_budget_names_no_criterion(make: Make) -> None:
    sample = scored(make, make.score("r.a", 0.6, rubric="r"))
    assert failure_text(PLAN, [sample], [gate("calls", "too many")]) == "too many\n(task greet)"


def test_failed_checks_of_the_test_are_named(make: Make) -> None:
    sample = scored(make, make.score("polite", 0.0, reason="swears"), make.score("short", 1.0))
    assert failure_text(PLAN, [sample], []) == "check 'polite' failed: swears\n(task greet)"


def test_a_rubric_without_anything_to_score_says_so_unless_its_gate_did(make: Make) -> None:
    sample = scored(make, make.score("r", rubric="r", error="not scored"), output=None)
    assert failure_text(PLAN, [sample], []) == "rubric r: not scored\n(task greet)"
    assert failure_text(PLAN, [sample], [gate("r", "r: fail")]) == "r: fail\n(task greet)"


def test_no_task_is_not_named(make: Make) -> None:
    plan = CasePlan(case_id="t.py::t", name="t", task=NO_TASK)
    assert failure_text(plan, [scored(make)], [gate("calls", "too many")]) == "too many"


def test_a_models_words_do_nothing_to_a_terminal_or_a_log(make: Make) -> None:
    sample = scored(make, make.score("polite", 0.0, reason="no\n::error::gotcha \x1b[2J ##[group]x"))
    text = failure_text(PLAN, [sample], [])
    assert "\x1b" not in text
    assert "\n::" not in text
    assert "##[" not in text
