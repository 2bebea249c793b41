"""Logged inputs run under a candidate and are scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.errors import BudgetExceeded, LLMError, ScoreError
from pytest_kaizen.llm import LLM, LLMRequest
from pytest_kaizen.models import Feedback, Scored
from pytest_kaizen.pipeline.feedback import scoring_rubric
from pytest_kaizen.pipeline.feedback.evaluator import FeedbackEvaluator, request_for
from pytest_kaizen.pipeline.feedback.logged import LoggedCase, logged_cases
from pytest_kaizen.score import Judge

from .conftest import PRICE, FakeLLM

if TYPE_CHECKING:
    from .conftest import Make

JUDGED = {"type": "judge", "criteria": [{"name": "urgent", "description": "It says that it is urgent."}]}
Evaluate = Callable[..., dict[str, Scored]]


@pytest.mark.parametrize(
    ("prompt", "inputs", "system", "message"),
    [
        # All of it where the prompt has no variable, what is left over, and nothing.
        ("Sort it.", {"b": 1, "a": "é"}, "Sort it.", '{"a": "é", "b": 1}'),
        ("Sort {{ a }}.", {"a": "this", "b": [1]}, "Sort this.", '{"b": [1]}'),
        ("Sort {{a}} and {{a}}.", {"a": {"x": None}}, "", 'Sort {"x": null} and {"x": null}.'),
        ("Say {{a}}.", {"a": "{{b}}", "b": 2}, "Say {{b}}.", '{"b": 2}'),
        ("Say something.", {}, "", "Say something."),
    ],
)
def test_inputs_fill_variables_and_the_rest_is_the_message(
    prompt: str, inputs: dict[str, Any], system: str, message: str
) -> None:
    request = request_for(prompt, inputs, "m")
    assert (request.system, request.prompt, request.model) == (system, message, "m")


def answer(request: LLMRequest) -> str:
    if request.schema is None:
        return f"urgent: {request.prompt}" if "urgent" in request.system else request.prompt
    urgent = "urgent: " in request.prompt
    return json.dumps({"urgent": {"reason": f"urgent is {urgent}", "score": "yes" if urgent else "no"}})


@pytest.fixture
def evaluate(make: Make) -> Evaluate:
    """Run cases under a prompt; gives the rollouts by the ticket."""

    def run(
        llm: LLM,
        prompt: str,
        *tickets: str,
        evaluator: dict[str, Any] | None = None,
        reference: str | None = None,
        samples: tuple[int, ...] = (0,),
    ) -> dict[str, Scored]:
        cases = [LoggedCase({"ticket": ticket}, reference) for ticket in tickets]
        rubric = scoring_rubric(make.task(evaluator_config=evaluator or JUDGED), make.config())
        found = FeedbackEvaluator(cases, "m", rubric, llm, lambda door: Judge(door, "judge"))
        names = {case.id: case.inputs["ticket"] for case in cases}
        scored = list(found.evaluate(prompt, list(names), samples))
        assert len(scored) == len(tickets) * len(samples)
        return {names[rollout.case_id]: rollout for rollout in scored}

    return run


def test_a_judge_scores_the_answers_and_says_why(evaluate: Evaluate) -> None:
    llm = FakeLLM(answer)
    good = evaluate(llm, "Say how urgent it is.", "lamp", "kettle")
    bad = evaluate(llm, "Repeat it.", "lamp")
    assert {name: scored.score for name, scored in good.items()} == {"lamp": 1.0, "kettle": 1.0}
    lamp = bad["lamp"]
    assert (lamp.score, lamp.output, lamp.error) == (0.0, '{"ticket": "lamp"}', None)
    assert lamp.objectives == {"judge.urgent": 0.0, "judge": 0.0}
    expected = "It says that it is urgent."
    told = Feedback(criterion="judge.urgent", score=0.0, expected=expected, reason="urgent is False")
    assert lamp.feedback == (told,)
    # The answer and its judgement are paid for, and known by their models.
    assert lamp.cost_usd == pytest.approx(2 * PRICE)
    assert [request.model for request in llm.asked[-2:]] == ["m", "judge"]


def test_each_sample_is_a_call(evaluate: Evaluate) -> None:
    llm = FakeLLM(answer)
    evaluate(llm, "Repeat it.", "lamp", samples=(0, 1, 2))
    assert len([request for request in llm.asked if request.model == "m"]) == 3


def test_exact_match_needs_no_judge(evaluate: Evaluate) -> None:
    llm = FakeLLM(answer)
    found = evaluate(
        llm, "{{ticket}}", "lamp", "kettle", evaluator={"type": "exact_match"}, reference="kettle"
    )
    assert {name: scored.score for name, scored in found.items()} == {"lamp": 0.0, "kettle": 1.0}
    assert found["lamp"].feedback[0].reason == "expected 'kettle', found 'lamp'"
    assert found["lamp"].cost_usd == PRICE
    assert len(llm.asked) == 2


def test_without_a_logged_answer_there_is_nothing_to_match(evaluate: Evaluate) -> None:
    with pytest.raises(ScoreError, match=r"no logged input of 1 could be scored: .*no reference to compare"):
        evaluate(FakeLLM(answer), "{{ticket}}", "lamp", evaluator={"type": "exact_match"})


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (LLMError("m: HTTP 529"), "m: HTTP 529"),
        (BudgetExceeded("not called: $5 of the budget of $5 is spent"), "not called: $5 of the budget"),
        (RuntimeError("odd"), "RuntimeError: odd"),
    ],
)
def test_what_breaks_costs_its_case_alone(evaluate: Evaluate, failure: Exception, error: str) -> None:
    def breaks(request: LLMRequest) -> str:
        if "lamp" in request.prompt and request.schema is None:
            raise failure
        return answer(request)

    found = evaluate(FakeLLM(breaks), "urgent", "lamp", "kettle")
    assert found["kettle"].score == 1.0
    assert found["lamp"].score is None
    assert (found["lamp"].error or "").startswith(error)
    assert found["lamp"].cost_usd is None


@pytest.mark.parametrize("transient", [False, True])
@pytest.mark.parametrize("judged", [False, True])
def test_where_nothing_can_be_scored_the_reason_is_raised(
    evaluate: Evaluate, judged: bool, transient: bool
) -> None:
    def breaks(request: LLMRequest) -> str:
        if judged is (request.schema is not None):
            raise LLMError("no answer of m", transient=transient)
        return answer(request)

    with pytest.raises(ScoreError, match=r"no logged input of 2 could be scored: .*no answer of m") as caught:
        evaluate(FakeLLM(breaks), "urgent", "lamp", "kettle")
    assert caught.value.transient is transient


def test_a_judge_that_breaks_costs_the_case_and_its_answer_counts(evaluate: Evaluate) -> None:
    def breaks(request: LLMRequest) -> str:
        if request.schema is not None and "lamp" in request.prompt:
            raise LLMError("judge: HTTP 500")
        return answer(request)

    lamp = evaluate(FakeLLM(breaks), "urgent", "lamp", "kettle")["lamp"]
    assert lamp.score is None
    assert "HTTP 500" in (lamp.error or "")


def test_a_cost_that_is_not_known_stays_unknown(evaluate: Evaluate) -> None:
    assert evaluate(FakeLLM(answer, cost_usd=None), "urgent", "lamp")["lamp"].cost_usd is None


@pytest.mark.parametrize("prompt", ["Sort {{ticket}} for {{customer}}.", "Sort {{ ticket.text }}."])
def test_a_candidate_with_other_variables_is_worth_nothing_and_told_why(
    evaluate: Evaluate, prompt: str
) -> None:
    llm = FakeLLM(answer)
    lamp = evaluate(llm, prompt, "lamp")["lamp"]
    assert (lamp.score, lamp.error, lamp.cost_usd, llm.asked) == (0.0, None, 0.0, [])
    [told] = lamp.feedback
    assert told.criterion == "variables"
    assert "customer" in (told.reason or "") or "ticket.text" in (told.reason or "")


def test_equal_inputs_are_one_case_with_the_best_answer_that_was_logged(make: Make) -> None:
    task = make.task()
    entries = [
        make.entry(task, {"a": 1, "b": 2}, output="poor", score=0.4),
        make.entry(task, {"b": 2, "a": 1}, output="right", score=1.0),
        make.entry(task, None, output="no input", score=1.0),
        make.entry(task, {"a": 2}, output="an example", source="seed"),
        make.entry(task, {"a": 3}, output="unrated"),
    ]
    found = logged_cases(entries)
    assert [(case.text, case.reference) for case in found] == [
        ('{"a": 1, "b": 2}', "right"),
        ('{"a": 2}', "an example"),
        ('{"a": 3}', None),
    ]
    assert len({case.id for case in found}) == 3
    # A trace of the same input falls to the same side of a split.
    traces = [
        LoggedCase(inputs).text for inputs in ({"input": "x"}, {"input": {"b": 1, "a": 2}}, {"b": 1, "a": 2})
    ]
    assert traces == ["x", '{"a": 2, "b": 1}', '{"a": 2, "b": 1}']
    # Another reference is another case, on the same side of the split.
    again = LoggedCase({"a": 1, "b": 2}, "better").case
    assert (again.input, again.id == found[0].id) == (found[0].text, False)
