from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.models import Score, ScoreSource
from pytest_kaizen.score import CheckResult, Criterion, Judge, Rubric, YesNo, score_rubric

RUBRIC = """\
name: summary
description: A summary of a ticket.
criteria:
  - {name: short, weight: 0.25, check: {max_length: 5}}
  - {name: faithful, description: States only what the ticket says., weight: 0.5}
  - {name: same, weight: 0.25, check: {equals: {reference: true}}}
"""
YES = {"faithful": {"reason": "all there", "score": "yes"}}
NO = {"faithful": {"reason": "invents a date", "score": "no"}}

MakeLLM = Callable[..., Any]
LoadRubric = Callable[[str], Rubric]


def by_name(scores: list[Score]) -> dict[str, float | str | None]:
    return {score.name: score.error or score.value for score in scores}


def test_checks_and_judge_together(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(NO)
    scores = score_rubric(rubric(RUBRIC), input="i", output="abc", reference="abc", judge=Judge(llm, "m"))
    assert by_name(scores) == {
        "summary.short": 1.0,
        "summary.faithful": 0.0,
        "summary.same": 1.0,
        "summary": 0.5,
    }
    short, faithful, _, total = scores
    assert (short.source, short.reason, short.expected, short.weight) == (
        ScoreSource.CHECK,
        "3 characters, at most 5 allowed",
        "at most 5 characters",
        0.25,
    )
    assert (faithful.source, faithful.reason) == (ScoreSource.JUDGE, "invents a date")
    assert total == Score(
        name="summary",
        value=0.5,
        source=ScoreSource.JUDGE,
        reason="summary.short 1.00, summary.faithful 0.00, summary.same 1.00",
        expected="A summary of a ticket.",
        rubric="summary",
    )
    assert [score.is_criterion for score in scores] == [True, True, True, False]
    (request,) = llm.requests
    assert list(request.schema["properties"]) == ["faithful"]


def test_a_rubric_of_checks_asks_no_judge(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm()
    loaded = rubric("name: r\ncriteria:\n  - {name: a, check: {contains: x}}\n")
    scores = score_rubric(loaded, input=None, output="xy", reference=None, judge=Judge(llm, "m"))
    assert by_name(scores) == {"r.a": 1.0, "r": 1.0}
    assert scores[-1].source is ScoreSource.CHECK
    assert llm.requests == []


def test_an_error_in_a_criterion_makes_the_total_an_error_that_names_it(
    fake_llm: MakeLLM, rubric: LoadRubric
) -> None:
    scores = score_rubric(
        rubric(RUBRIC), input="i", output="abc", reference=None, judge=Judge(fake_llm(YES), "m")
    )
    missing = "the case has no reference to compare with; give kaizen.case(reference=...)"
    assert by_name(scores) == {
        "summary.short": 1.0,
        "summary.faithful": 1.0,
        "summary.same": missing,
        "summary": f"not scored: summary.same: {missing}",
    }
    assert scores[-1].value is None


def test_without_a_judge_the_judged_criteria_are_errors(rubric: LoadRubric) -> None:
    scores = score_rubric(rubric(RUBRIC), input="i", output="abc", reference="abc", judge=None)
    assert by_name(scores)["summary.faithful"] == "no judge was given"
    assert by_name(scores)["summary"] == "not scored: summary.faithful: no judge was given"


def test_no_output_is_an_error_everywhere_and_costs_no_call(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm()
    scores = score_rubric(rubric(RUBRIC), input="i", output=None, reference="r", judge=Judge(llm, "m"))
    assert [score.value for score in scores] == [None] * 4
    assert {score.error for score in scores[:-1]} == {
        "there is no output to score: nothing was captured, and kaizen.case gave none"
    }
    assert llm.requests == []


def test_an_empty_output_is_an_output(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(NO)
    scores = score_rubric(rubric(RUBRIC), input="i", output="", reference="r", judge=Judge(llm, "m"))
    assert scores[-1].value == 0.25
    assert len(llm.requests) == 1


class Fixed:
    """A check that always finds the same, or breaks."""

    expected = "always the same"

    def __init__(self, value: float | Exception) -> None:
        self.value = value

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002
        if isinstance(self.value, Exception):
            raise self.value
        return CheckResult(self.value, f"{output} {input} {reference}")


def made_of(values: list[float | Exception], weights: list[float]) -> Rubric:
    criteria = tuple(
        Criterion(name=f"c{i}", description="", weight=weight, scale=YesNo(), check=Fixed(value))
        for i, (value, weight) in enumerate(zip(values, weights, strict=True))
    )
    return Rubric(name="r", description="", path=Path("r.yaml"), sha256="", criteria=criteria)


def test_a_check_that_breaks_is_an_error(rubric: LoadRubric) -> None:
    assert rubric(RUBRIC).name == "summary"
    scores = score_rubric(
        made_of([ZeroDivisionError("by zero")], [1.0]), input=None, output="o", reference=None, judge=None
    )
    assert by_name(scores)["r.c0"] == "the check broke: ZeroDivisionError: by zero"


units = st.floats(0, 1)
weighted = st.lists(st.tuples(units, st.floats(0.01, 1)), min_size=1, max_size=10)


@given(weighted)
def test_the_total_is_the_weighted_mean(entries: list[tuple[float, float]]) -> None:
    values = [value for value, _ in entries]
    whole = math.fsum(weight for _, weight in entries)
    weights = [weight / whole for _, weight in entries]
    total = score_rubric(made_of([*values], weights), input=None, output="o", reference=None, judge=None)[
        -1
    ].value
    assert total is not None
    assert total == pytest.approx(sum(v * w for v, w in zip(values, weights, strict=True)), abs=1e-9)
    assert min(values) - 1e-9 <= total <= max(values) + 1e-9


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_full_marks_are_exactly_1(weights: list[float]) -> None:
    shares = [weight / math.fsum(weights) for weight in weights]
    rubric = made_of([1.0] * len(shares), shares)
    assert score_rubric(rubric, input=None, output="o", reference=None, judge=None)[-1].value == 1.0
