"""Which of two outputs is better, also on real decisions of a judge."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import LLMError, ScoreError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import AnswerKey
from pytest_kaizen.score import Comparison, Judge, Rubric, compare_outputs

RUBRIC = """\
name: answer
description: An answer to an exam question.
criteria:
  - {name: right, description: Is right., weight: 0.7}
  - {name: clear, description: Is clear., weight: 0.2}
  - {name: short, check: {max_length: 9}, weight: 0.1}
"""
DATA = Path(__file__).parents[2].parent / "shared" / "data" / "judgebench_o1mini.jsonl"

MakeLLM = Callable[..., Any]
LoadRubric = Callable[[str], Rubric]


def says(better: str) -> dict[str, str]:
    return {"reason": f"because {better}", "better": better}


@pytest.mark.parametrize(
    ("first_order", "second_order", "winner", "choices"),
    [
        ("first", "second", "a", ("a", "a")),
        ("second", "first", "b", ("b", "b")),
        ("first", "first", "tie", ("a", "b")),
        ("second", "second", "tie", ("b", "a")),
        ("tie", "first", "tie", ("tie", "b")),
        ("first", "tie", "tie", ("a", "tie")),
        ("tie", "tie", "tie", ("tie", "tie")),
    ],
)
def test_a_contradiction_is_a_tie(
    fake_llm: MakeLLM,
    rubric: LoadRubric,
    first_order: str,
    second_order: str,
    winner: str,
    choices: tuple[str, str],
) -> None:
    llm = fake_llm(says(first_order), says(second_order))
    found = compare_outputs(Judge(llm, "m"), rubric(RUBRIC), "one", "two")
    assert (found.winner, found.choices) == (winner, choices)
    assert found.reasons == (f"because {first_order}", f"because {second_order}")
    assert found.consistent is (choices[0] == choices[1])


def test_both_orders_are_asked_with_the_judged_criteria(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(says("tie"), says("tie"))
    compare_outputs(Judge(llm, "m", 77), rubric(RUBRIC), "one", "two", input="question", reference="gold")
    there, back = llm.requests
    code = re.findall(r"code ([0-9a-f]{16}):", there.prompt)[0]
    assert there.prompt == (
        "An answer to an exam question.\n"
        "\n"
        "Criteria:\n"
        "- right (weight 0.7): Is right.\n"
        "- clear (weight 0.2): Is clear.\n"
        "\n"
        f"Material, marked with the code {code}:\n"
        "- INPUT: what the program was given\n"
        "- REFERENCE: an answer known to be good; others can be as good\n"
        "- FIRST OUTPUT: what the program answered once\n"
        "- SECOND OUTPUT: what it answered another time\n"
        "\n"
        f"BEGIN INPUT {code}\nquestion\nEND INPUT {code}\n"
        f"BEGIN REFERENCE {code}\ngold\nEND REFERENCE {code}\n"
        f"BEGIN FIRST OUTPUT {code}\none\nEND FIRST OUTPUT {code}\n"
        f"BEGIN SECOND OUTPUT {code}\ntwo\nEND SECOND OUTPUT {code}"
    )
    assert re.search(r"BEGIN FIRST OUTPUT \w+\ntwo\n", back.prompt)
    assert re.search(r"BEGIN SECOND OUTPUT \w+\none\n", back.prompt)
    assert (there.model, there.max_tokens) == ("m", 77)
    assert list(there.schema["properties"]) == ["reason", "better"]


def test_answers_are_kept_by_order(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    class Cache(dict[AnswerKey, Any]):
        def put(self, key: AnswerKey, answer: Any) -> None:
            self[key] = answer

    cache = Cache()
    loaded = rubric(RUBRIC)
    first = compare_outputs(
        Judge(fake_llm(says("first"), says("second")), "m", cache=cache), loaded, "x", "y"
    )
    again = compare_outputs(Judge(fake_llm(), "m", cache=cache), loaded, "x", "y")
    turned = compare_outputs(Judge(fake_llm(), "m", cache=cache), loaded, "y", "x")
    assert len(cache) == 2
    assert first == again == Comparison("a", ("a", "a"), ("because first", "because second"))
    assert turned.winner == "b"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([LLMError("down")], "judge: down"),
        ([says("first"), LLMError("down")], "judge: down"),
        ([says("left")] * 3, "judge: m gave no readable answer in 3 attempts: expected first, second or tie"),
        ([{"better": "first"}] * 3, "judge: m gave no readable answer in 3 attempts: no reason"),
    ],
)
def test_a_judge_that_fails(fake_llm: MakeLLM, rubric: LoadRubric, answers: list[Any], error: str) -> None:
    with pytest.raises(ScoreError) as caught:
        compare_outputs(Judge(fake_llm(*answers), "m"), rubric(RUBRIC), "one", "two")
    assert str(caught.value).startswith(error)


def test_a_rubric_that_no_model_judges(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    loaded = rubric("name: a\ncriteria: [{name: short, check: {max_length: 9}}]")
    with pytest.raises(ScoreError, match="rubric 'a' has no criterion that a model judges"):
        compare_outputs(Judge(fake_llm(), "m"), loaded, "one", "two")


class Replay:
    """A judge that says what a real one said of a pair, in the order that it is shown."""

    def __init__(self, pairs: list[dict[str, Any]]) -> None:
        self._said = {pair["pair_id"]: pair["decisions_in_both_orders"] for pair in pairs}

    def complete(self, request: LLMRequest) -> Completion:
        shown = re.findall(r"BEGIN (?:FIRST|SECOND) OUTPUT \w+\n(\w) (\S+)\n", request.prompt)
        (first, pair), _ = shown
        decision = self._said[pair]["AB".index(first)]
        better = {"A>B": "first", "B>A": "second", "A=B": "tie"}[decision]
        return Completion(text="", model=request.model, data=says(better))


@pytest.mark.skipif(not DATA.is_file(), reason="needs ../shared/data, which is not part of the repository")
def test_real_decisions(rubric: LoadRubric) -> None:
    """JudgeBench: of 350 pairs, 71 % right in one order; 86 % of those that both orders agree on."""
    pairs = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    judge, loaded = Judge(Replay(pairs), "m"), rubric(RUBRIC)
    outcomes: Counter[str] = Counter()
    for pair in pairs:
        name = pair["pair_id"]
        found = compare_outputs(judge, loaded, f"A {name}", f"B {name}", input=name)
        right = "a" if pair["label"] == "A>B" else "b"
        outcomes["right in the first order"] += found.choices[0] == right
        outcomes["tie"] += found.winner == "tie"
        outcomes["contradiction"] += not found.consistent
        outcomes["decided and right"] += found.winner == right
    assert len(pairs) == 350
    assert outcomes == {
        "right in the first order": 248,
        "tie": 115,
        "contradiction": 110,
        "decided and right": 203,
    }
    assert outcomes["right in the first order"] / len(pairs) == pytest.approx(0.709, abs=0.001)
    assert outcomes["decided and right"] / (len(pairs) - outcomes["tie"]) == pytest.approx(0.864, abs=0.001)
