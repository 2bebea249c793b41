from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded, LLMError
from pytest_kaizen.models import Score, ScoreSource
from pytest_kaizen.score import Judge, Rubric

RUBRIC = """\
name: summary
criteria:
  - {name: faithful, description: States only what the ticket says., weight: 0.75}
  - {name: tone, description: Is friendly., scale: [1, 5], weight: 0.25}
"""
GOOD = {"faithful": {"reason": "all there", "score": "yes"}, "tone": {"reason": "dry", "score": 2}}

MakeLLM = Callable[..., Any]
LoadRubric = Callable[[str], Rubric]


def judge(llm: Any, rubric: Rubric) -> list[Score]:
    return Judge(llm, "judge-model").judge(rubric, rubric.judged, input="i", output="o", reference=None)


def test_all_criteria_are_asked_in_one_call(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(GOOD)
    assert judge(llm, rubric(RUBRIC)) == [
        Score(
            name="summary.faithful",
            value=1.0,
            source=ScoreSource.JUDGE,
            reason="all there",
            expected="States only what the ticket says.",
            rubric="summary",
            weight=0.75,
        ),
        Score(
            name="summary.tone",
            value=0.25,
            source=ScoreSource.JUDGE,
            reason="dry",
            expected="Is friendly.",
            rubric="summary",
            weight=0.25,
        ),
    ]
    (request,) = llm.requests
    assert (request.model, request.max_tokens) == ("judge-model", 2048)
    assert list(request.schema["properties"]) == ["faithful", "tone"]


def test_only_the_given_criteria_are_asked(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm({"tone": {"reason": "r", "score": 5}})
    loaded = rubric(RUBRIC)
    scores = Judge(llm, "m", max_tokens=7).judge(
        loaded, loaded.judged[1:], input=None, output="o", reference=None
    )
    assert [(score.name, score.value) for score in scores] == [("summary.tone", 1.0)]
    assert llm.requests[0].max_tokens == 7
    assert "faithful" not in llm.requests[0].prompt


def test_without_criteria_nothing_is_asked(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm()
    assert Judge(llm, "m").judge(rubric(RUBRIC), [], input=None, output="o", reference=None) == []
    assert llm.requests == []


@pytest.mark.parametrize("bad", [1, 2])
def test_an_unreadable_answer_is_asked_for_again(fake_llm: MakeLLM, rubric: LoadRubric, bad: int) -> None:
    llm = fake_llm(*[None] * bad, GOOD)
    assert [score.value for score in judge(llm, rubric(RUBRIC))] == [1.0, 0.25]
    assert len(llm.requests) == bad + 1


def test_after_three_unreadable_answers_every_criterion_is_an_error(
    fake_llm: MakeLLM, rubric: LoadRubric
) -> None:
    llm = fake_llm(None, {}, {"faithful": GOOD["faithful"]}, GOOD)
    scores = judge(llm, rubric(RUBRIC))
    assert len(llm.requests) == 3
    assert [score.value for score in scores] == [None, None]
    assert {score.error for score in scores} == {
        "judge: judge-model gave no readable answer in 3 attempts: no reason and score for 'tone'"
    }
    assert [(score.weight, score.rubric, score.source) for score in scores] == [
        (0.75, "summary", ScoreSource.JUDGE),
        (0.25, "summary", ScoreSource.JUDGE),
    ]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (LLMError("m: HTTP 500: down", status=500), "judge: m: HTTP 500: down"),
        (BudgetExceeded("not called: $1 is spent"), "judge: not called: $1 is spent"),
        (ConnectionError("gone"), "judge: ConnectionError: gone"),
    ],
)
def test_a_model_that_fails_is_an_error_on_every_criterion_and_not_asked_again(
    fake_llm: MakeLLM, rubric: LoadRubric, failure: Exception, error: str
) -> None:
    llm = fake_llm(failure, GOOD)
    assert [score.error for score in judge(llm, rubric(RUBRIC))] == [error, error]
    assert len(llm.requests) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes(fake_llm: MakeLLM, rubric: LoadRubric, stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        judge(fake_llm(stop()), rubric(RUBRIC))


def test_material_that_is_not_valid_unicode_does_not_break_the_test(
    fake_llm: MakeLLM, rubric: LoadRubric
) -> None:
    loaded = rubric(RUBRIC)
    scores = Judge(fake_llm(GOOD), "m").judge(
        loaded, loaded.judged, input={(1, 2): object}, output="\ud800", reference=None
    )
    assert [score.value for score in scores] == [1.0, 0.25]
