"""Findings in traces: what is asked, how strictly it is read, and how findings come together."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.errors import LLMError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.optimize import Failure
from pytest_kaizen.optimize.analysis import Analyst, Finding
from pytest_kaizen.score.asking import Asker


class Model:
    """Answers with one after the other, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[LLMRequest] = []

    def complete(self, request: LLMRequest) -> Completion:
        self.asked.append(request)
        data = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return Completion(text="", model=request.model, data=data)


def finding(title: Any = "Loops", detail: Any = "It repeats.", **numbers: Any) -> dict[str, Any]:
    return {"findings": [{"title": title, "detail": detail, **numbers}]}


def traces(*ids: str) -> list[Failure]:
    return [Failure(case_id=name, input=f"in {name}", output=f"out {name}", score=None) for name in ids]


def analyst(model: Model, question: str | None = None) -> Analyst:
    return Analyst(Asker(model), "m", question)


def test_findings_name_their_traces() -> None:
    model = Model(finding(" Loops ", traces=[3, 1, 3]))
    assert analyst(model).study(traces("a", "b", "c")) == [Finding("Loops", "It repeats.", ("a", "c"))]
    (request,) = model.asked
    assert "in b" in request.prompt
    assert "QUESTION" not in request.prompt
    assert request.schema is not None
    item = request.schema["properties"]["findings"]["items"]
    assert item["properties"]["traces"]["items"]["enum"] == [1, 2, 3]


def test_a_question_is_asked() -> None:
    model = Model({"findings": []})
    assert analyst(model, "Where does it fail?").study(traces("a")) == []
    assert "Where does it fail?" in model.asked[0].prompt


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "none",
        [],
        {},
        {"findings": None},
        {"findings": ["Loops"]},
        finding(traces=[]),
        finding(traces=None),
        finding(traces=[0]),
        finding(traces=[3]),
        finding(traces=[True]),
        finding(traces=["1"]),
        finding(title=" ", traces=[1]),
        finding(detail=None, traces=[1]),
    ],
)
def test_an_answer_that_is_none_is_an_error_after_two_more_tries(answer: Any) -> None:
    model = Model(answer)
    with pytest.raises(LLMError, match="no readable answer in 3 attempts"):
        analyst(model).study(traces("a", "b"))
    assert len(model.asked) == 3


def test_findings_that_say_the_same_come_together_and_none_is_lost() -> None:
    made = [Finding("A", "a", ("t1", "t2")), Finding("B", "b", ("t3",)), Finding("C", "c", ("t2", "t4"))]
    model = Model(finding("A and C", "ac", findings=[3, 1]))
    merged = analyst(model).merge(made)
    assert merged == [Finding("A and C", "ac", ("t1", "t2", "t4")), made[1]]
    assert "2. B: b" in model.asked[0].prompt
    with pytest.raises(LLMError, match="names findings that were not shown: 4"):
        analyst(Model(finding(findings=[4]))).merge(made)
