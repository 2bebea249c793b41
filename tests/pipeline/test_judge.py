"""The judge's answers in the store, as a sample's scoring uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.config import JudgeConfig
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import AnswerKey
from pytest_kaizen.pipeline import Calibrations, CasePlan, LiveSample, Scoring, StoredAnswers
from pytest_kaizen.score import Judge, Rubric, load_rubric
from pytest_kaizen.store import Store

KEY = AnswerKey(model="m", rubric="r", content="c", order="a")
RUBRIC = "name: s\nmin_kappa: 0.5\ncriteria: [{name: good, description: Is good.}]"


class Counting:
    """A model that always finds it good, and counts how often it was asked."""

    calls = 0

    def complete(self, request: LLMRequest) -> Completion:
        self.calls += 1
        answer = {"good": {"reason": f"call {self.calls}", "score": "yes"}}
        return Completion(text="", model=request.model, data=answer)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


@pytest.fixture
def rubric(tmp_path: Path) -> Rubric:
    path = tmp_path / "rubric.yaml"
    path.write_text(RUBRIC)
    return load_rubric(path)


def test_equal_replies_of_several_samples_are_judged_one_by_one(store: Store, rubric: Rubric) -> None:
    def reasons(llm: Counting) -> list[str | None]:
        judge = Judge(llm, "m", cache=StoredAnswers(store, Redactor({})))
        scoring = Scoring(Redactor({}), lambda: judge)
        samples = [LiveSample(CasePlan("case", "case"), "run", number) for number in (0, 1, 2)]
        scores = [scoring.rubric(sample, rubric, "in", "same", None)[0] for sample in samples]
        return [score.reason for score in scores]

    first, again = Counting(), Counting()
    assert reasons(first) == reasons(again) == ["call 1", "call 2", "call 3"]
    assert (first.calls, again.calls) == (3, 0)


def test_another_server_is_another_judge(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = StoredAnswers(store, Redactor({}))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    answers.put(KEY, {"a": 1})
    assert answers.get(KEY) == {"a": 1}
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    assert answers.get(KEY) is None


def test_a_store_that_fails_costs_a_call_and_no_score(store: Store, rubric: Rubric) -> None:
    answers = StoredAnswers(store, Redactor({}))
    store.close()
    judge = Judge(Counting(), "m", cache=answers)
    (score,) = judge.judge(rubric, rubric.judged, input=None, output="o", reference=None)
    assert score.value == 1.0


def test_calibrations_that_cannot_be_read_are_none(store: Store, rubric: Rubric) -> None:
    store.close()
    known = Calibrations(store, JudgeConfig())
    reason: Any = known.refusal(rubric)
    assert reason.startswith("the judge's calibration could not be read: ")
    assert known.correction(rubric, [1.0]) is None
    assert known.line(rubric) == f"rubric s: {reason}"
