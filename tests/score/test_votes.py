"""A judge that is asked several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_kaizen.errors import LLMError, RubricError
from pytest_kaizen.models import AnswerKey, Score
from pytest_kaizen.score import Judge, Rubric, Verdict

RUBRIC = """\
name: summary
votes: 3
criteria:
  - {name: one, description: First., scale: [1, 5]}
  - {name: two, description: Second.}
  - {name: three, description: Third.}
"""

MakeLLM = Callable[..., Any]
LoadRubric = Callable[[str], Rubric]


class Cache(dict[AnswerKey, Any]):
    def put(self, key: AnswerKey, answer: Any) -> None:
        self[key] = answer


def answer(one: int, two: str = "yes") -> dict[str, Any]:
    return {
        "one": {"reason": f"one is {one}", "score": one},
        "two": {"reason": f"two is {two}", "score": two},
        "three": {"reason": "fine", "score": "yes"},
    }


def ask(judge: Judge, rubric: Rubric, output: str = "o", **more: Any) -> list[Score]:
    return judge.judge(rubric, rubric.judged, input="i", output=output, reference=None, **more)


def test_the_mean_of_the_votes_is_the_score_and_the_votes_are_kept(
    fake_llm: MakeLLM, rubric: LoadRubric
) -> None:
    scores = ask(Judge(fake_llm(answer(1), answer(5, "no"), answer(3)), "m"), rubric(RUBRIC))
    assert [score.value for score in scores] == [0.5, pytest.approx(2 / 3), 1.0]
    assert [score.votes for score in scores] == [[0.0, 1.0, 0.5], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    assert [score.reason for score in scores] == ["one is 3", "two is yes", "fine"]


def test_the_spread_is_shown(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    scores = ask(Judge(fake_llm(answer(1), answer(5), answer(3)), "m"), rubric(RUBRIC))
    total = Score(name="summary", value=0.8, source=scores[0].source, rubric="summary")
    assert str(Verdict([*scores, total])).splitlines()[1] == "  one: 0.50 (3 votes, 0.00 to 1.00) (one is 3)"


def test_every_vote_has_the_criteria_in_another_order(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(*[answer(1)] * 4)
    ask(Judge(llm, "m"), rubric(RUBRIC.replace("votes: 3", "votes: 4")))
    orders = [list(request.schema["properties"]) for request in llm.requests]
    assert orders == [
        ["one", "two", "three"],
        ["two", "three", "one"],
        ["three", "one", "two"],
        ["one", "two", "three"],
    ]
    assert llm.requests[1].prompt.index("- two") < llm.requests[1].prompt.index("- one")


def test_the_rubric_wins_over_the_default(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    plain = rubric(RUBRIC.replace("votes: 3\n", ""))
    judge = Judge(fake_llm(), "m", votes=5)
    assert (judge.votes(plain), judge.votes(rubric(RUBRIC))) == (5, 3)
    scores = ask(Judge(fake_llm(answer(1), answer(2)), "m", votes=2), plain)
    assert scores[0].votes == [0.0, 0.25]


def test_votes_are_no_other_rubric(rubric: LoadRubric) -> None:
    assert rubric(RUBRIC).sha256 == rubric(RUBRIC.replace("votes: 3\n", "")).sha256


@pytest.mark.parametrize("votes", ["0", "26", "many"])
def test_a_number_of_votes_that_is_none(rubric: LoadRubric, votes: str) -> None:
    with pytest.raises(RubricError, match=r"rubric.yaml:2: votes: "):
        rubric(RUBRIC.replace("votes: 3", f"votes: {votes}"))


def test_a_majority_of_votes_is_enough(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    llm = fake_llm(answer(1), LLMError("down"), answer(5))
    scores = ask(Judge(llm, "m"), rubric(RUBRIC))
    assert (scores[0].value, scores[0].votes) == (0.5, [0.0, 1.0])


@pytest.mark.parametrize(
    ("votes", "answers", "calls"),
    [
        (3, [answer(1), LLMError("a"), LLMError("b")], 3),
        (3, [LLMError("a"), LLMError("b"), answer(1)], 2),
        (4, [answer(1), LLMError("a"), LLMError("b"), answer(1)], 3),
    ],
)
def test_without_a_majority_every_criterion_is_an_error(
    fake_llm: MakeLLM, rubric: LoadRubric, votes: int, answers: list[Any], calls: int
) -> None:
    llm = fake_llm(*answers)
    scores = ask(Judge(llm, "m"), rubric(RUBRIC.replace("votes: 3", f"votes: {votes}")))
    assert [score.error for score in scores] == [f"judge: 2 of {votes} votes failed: b"] * 3
    assert len(llm.requests) == calls


def test_votes_and_samples_are_kept_one_by_one(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    cache, loaded = Cache(), rubric(RUBRIC)
    first = ask(Judge(fake_llm(answer(1), answer(5), answer(3)), "m", cache=cache), loaded)
    again = ask(Judge(fake_llm(), "m", cache=cache), loaded)
    assert again == first
    assert sorted((key.vote, key.sample) for key in cache) == [(0, 0), (1, 0), (2, 0)]
    other = ask(Judge(fake_llm(*[answer(5)] * 3), "m", cache=cache), loaded, sample=1)
    assert other[0].value == 1.0
    assert len(cache) == 6


@pytest.mark.parametrize("other", ["model", "output", "rubric"])
def test_another_question_is_asked(fake_llm: MakeLLM, rubric: LoadRubric, other: str) -> None:
    cache = Cache()
    ask(Judge(fake_llm(*[answer(1)] * 3), "m", cache=cache), rubric(RUBRIC))
    llm = fake_llm(*[answer(5)] * 3)
    text = RUBRIC.replace("Third.", "Another.") if other == "rubric" else RUBRIC
    judge = Judge(llm, "n" if other == "model" else "m", cache=cache)
    scores = ask(judge, rubric(text), output="p" if other == "output" else "o")
    assert scores[0].value == 1.0
    assert len(llm.requests) == 3


def test_errors_are_not_kept_and_unreadable_answers_neither(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    cache, loaded = Cache(), rubric(RUBRIC.replace("votes: 3\n", ""))
    ask(Judge(fake_llm(LLMError("down")), "m", cache=cache), loaded)
    assert cache == {}
    scores = ask(Judge(fake_llm({"one": 1}, answer(3)), "m", cache=cache), loaded)
    assert [*cache.values()] == [answer(3)]
    assert scores[0].value == 0.5


def test_an_answer_that_no_longer_reads_is_asked_for_anew(fake_llm: MakeLLM, rubric: LoadRubric) -> None:
    cache, loaded = Cache(), rubric(RUBRIC.replace("votes: 3\n", ""))
    ask(Judge(fake_llm(answer(1)), "m", cache=cache), loaded)
    (key,) = cache
    cache[key] = {"one": "?"}
    assert ask(Judge(fake_llm(answer(5)), "m", cache=cache), loaded)[0].value == 1.0
