"""The logged feedback of a task as what candidates are measured with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.errors import ScoreError, UsageError
from pytest_kaizen.llm import LLMRequest
from pytest_kaizen.models import FeedbackEntry, Scored, Task
from pytest_kaizen.optimize import Budget, Improve, Meter
from pytest_kaizen.pipeline.feedback.measure import FeedbackMeasure
from pytest_kaizen.pipeline.search import Measured, Search
from pytest_kaizen.pipeline.suite import keep_nothing
from pytest_kaizen.prompts import Prompt, PromptLibrary
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.store import Store

from .conftest import PRICE, FakeLLM

if TYPE_CHECKING:
    from .conftest import Make

SEARCH = Search("triage", budget=Budget(usd=5.0, rollouts=400), source="feedback")
MODEL = "claude-haiku-4-5"
KIND_WORDS = {"type": "judge", "criteria": [{"name": "kind", "description": "It is kind."}]}
Log = Callable[..., Task]


@pytest.fixture
def prompt(make: Make) -> Prompt:
    folder = make.root / "prompts/triage"
    folder.mkdir(parents=True)
    (folder / "1.md").write_text(f"---\nmodel: {MODEL}\n---\nSort {{{{ticket}}}}.\n")
    return PromptLibrary(make.config()).get("triage")


@pytest.fixture
def log(store: Store, make: Make) -> Log:
    """Store a task and its feedback; an entry is the inputs, or inputs, output and score."""

    def do(*given: Any, **settings: Any) -> Task:
        task = make.task(**{"evaluator_config": KIND_WORDS, **settings})
        store.tasks.add(task)
        for item in given:
            inputs, output, score = item if isinstance(item, tuple) else (item, None, None)
            store.feedback.add(task, make.entry(task, inputs, output=output, score=score))
        return task

    return do


def judged(request: LLMRequest) -> str:
    assert request.schema is not None
    return json.dumps(
        {"kind": {"reason": "so it is", "score": "yes" if "thank you" in request.prompt else "no"}}
    )


def measured(measure: FeedbackMeasure, prompt: Prompt, search: Search = SEARCH) -> tuple[Search, Measured]:
    return measure.fix(search), measure.cases(prompt, keep_nothing)


def test_each_input_is_a_case_and_a_search_that_goes_on_has_the_same(
    store: Store, make: Make, log: Log, prompt: Prompt
) -> None:
    task = log({"ticket": "a"}, {"ticket": "b"}, {"ticket": "a"}, None)
    first = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    search, found = measured(first, prompt)
    assert sorted(case.input for case in found.cases) == ['{"ticket": "a"}', '{"ticket": "b"}']
    assert (found.model, found.reflector, search.last) == (MODEL, None, 4)
    assert first.notes(Meter()) == (
        f"2 logged inputs, answered by {MODEL}",
        "warning: no logged score to compare the rubric's with, so nobody knows whether it means what your "
        "users mean",
    )
    store.feedback.add(task, make.entry(task, {"ticket": "c"}))
    again = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    assert measured(again, prompt, search) == (search, found)
    later = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    assert len(measured(later, prompt)[1].cases) == 3


def test_whose_models_they_are(store: Store, make: Make, log: Log, prompt: Prompt) -> None:
    models = {"target_model": "claude-opus-4-5", "teacher_model": "claude-sonnet-4-5", "judge_model": MODEL}
    log({"ticket": "a"}, **models)
    _, found = measured(FeedbackMeasure(make.config(), store, FakeLLM(judged)), prompt)
    assert (found.model, found.reflector) == ("claude-opus-4-5", "claude-sonnet-4-5")
    unknown = FeedbackMeasure(make.config(f"judge: {{model: {MODEL}}}"), store, FakeLLM(judged))
    task = store.tasks.find("triage")
    assert task is not None
    task.target_model = None
    store.tasks.update(task)
    _, found = measured(unknown, replace(prompt, model=None))
    assert found.model == MODEL
    assert unknown.notes(Meter())[0] == (
        f"1 logged input, answered by {MODEL} (the judge's model: no other is known)"
    )


def test_another_judge_rubric_or_server_measures_anew(
    store: Store, make: Make, log: Log, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    log({"ticket": "a"})

    def rubric(config: str, **settings: Any) -> str:
        task = store.tasks.find("triage")
        assert task is not None
        store.tasks.update(task.model_copy(update=settings))
        return measured(FeedbackMeasure(make.config(config), store, FakeLLM(judged)), prompt)[1].rubric

    other = {"type": "judge", "criteria": ["It is short."]}
    found = [
        rubric(""),
        rubric("judge: {votes: 3}"),
        rubric("judge: {model: claude-opus-4-5}"),
        rubric("", evaluator_config=other),
    ]
    assert len(set(found)) == 4
    assert rubric("", evaluator_config=KIND_WORDS) == found[0]
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert rubric("") not in found


def test_inputs_that_do_not_fit_and_those_beyond_the_budget(
    store: Store, make: Make, log: Log, prompt: Prompt
) -> None:
    log({"other": 1}, *({"ticket": str(number)} for number in range(7)))
    measure = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    _, found = measured(measure, prompt, replace(SEARCH, budget=Budget(rollouts=8)))
    assert [case.input for case in found.cases] == [f'{{"ticket": "{number}"}}' for number in (6, 5, 4, 3)]
    said = measure.notes(Meter())[0]
    assert said == (
        f"4 logged inputs, answered by {MODEL}; 1 without a variable of the prompt left out, 3 older than "
        "what the budget can compare"
    )


@pytest.mark.parametrize(
    ("given", "settings", "why"),
    [
        ([], {}, "no feedback of 'triage' has inputs that a candidate could be run on"),
        ([None], {}, "no feedback of 'triage' has inputs that a candidate could be run on"),
        ([{"other": 1}], {}, "no logged input of 'triage' has all variables of version 1: ticket"),
        (
            [{"ticket": "a"}],
            {"target_model": "house-model"},
            "'house-model' has no known price, so the budget of $5 cannot be kept",
        ),
        ([{"ticket": "a"}], {"judge_model": "house-judge"}, "'house-judge' has no known price"),
        ([{"ticket": "a"}], {"evaluator_config": {"type": "magic"}}, "evaluator_config: "),
    ],
)
def test_what_it_refuses_before_any_call(
    store: Store, make: Make, log: Log, prompt: Prompt, given: list[Any], settings: dict[str, Any], why: str
) -> None:
    log(*given, **settings)
    llm = FakeLLM(judged)
    with pytest.raises(UsageError) as caught:
        measured(FeedbackMeasure(make.config(), store, llm), prompt)
    assert why in str(caught.value)
    assert llm.asked == []


def test_a_task_that_nobody_logged_about(store: Store, make: Make) -> None:
    with pytest.raises(UsageError, match="'triage' has no logged feedback; log some: `kaizen feedback add"):
        FeedbackMeasure(make.config(), store).fix(SEARCH)


def rated(count: int, agreeing: int) -> list[tuple[dict[str, str], str, float]]:
    """Every second output is kind; the first ``agreeing`` scores say so, the others the opposite."""
    entries = []
    for number in range(count):
        kind = number % 2 == 0
        score = float(kind if number < agreeing else not kind)
        entries.append(({"ticket": str(number)}, "thank you" if kind else "no", score))
    return entries


def test_the_judge_is_compared_with_the_logged_scores_once(
    store: Store, make: Make, log: Log, prompt: Prompt
) -> None:
    log(*rated(20, 20))
    llm = FakeLLM(judged)
    meter = Meter(SEARCH.budget)
    measure = FeedbackMeasure(replace(make.config(), judge_cache=False), store, llm)
    measured(measure, prompt)
    said = measure.notes(meter)
    assert said[1:] == (
        "the rubric and 20 logged scores: accuracy 1.00 [0.84, 1.00], kappa 1.00 [0.68, 1.00], bias +0.00 "
        "[-0.13, +0.13]",
    )
    assert len(llm.asked) == 20
    assert meter.used.calls == 0
    assert meter.used.usd == pytest.approx(20 * PRICE)
    # A job that goes on has paid for it, and it counts against its budget all the same.
    resumed = Meter(SEARCH.budget)
    assert measure.notes(resumed) == said
    assert len(llm.asked) == 20
    assert resumed.used.usd == pytest.approx(20 * PRICE)
    assert resumed.paid.usd == 0.0


def test_a_judge_that_disagrees_or_that_little_is_known_of(
    store: Store, make: Make, log: Log, prompt: Prompt
) -> None:
    task = log(*rated(20, 12))
    measure = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    measured(measure, prompt)
    _, said, warning = measure.notes(Meter())
    assert said.startswith("the rubric and 20 logged scores: accuracy 0.60 [0.39, 0.78], kappa 0.20 [")
    assert warning.startswith("warning: they agree poorly, so a prompt that the rubric finds better may")
    store.tasks.delete(task.id)

    log(*rated(4, 4))
    measured(measure, prompt)
    assert measure.notes(Meter())[2] == (
        "warning: too few logged scores (4) to tell how far the rubric is to be trusted"
    )


def test_scores_that_a_judge_gave_say_nothing_about_a_judge(
    store: Store, make: Make, log: Log, prompt: Prompt
) -> None:
    task = log({"ticket": "x"})
    for inputs, output, score in rated(5, 5):
        entry = make.entry(task, dict(inputs), output=output, score=score, source="auto_eval")
        store.feedback.add(task, entry)
    measure = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    measured(measure, prompt)
    assert measure.notes(Meter())[1].startswith("warning: no logged score to compare")


def test_an_output_is_not_compared_with_itself(store: Store, make: Make, log: Log, prompt: Prompt) -> None:
    task = log(
        ({"ticket": "a"}, "right", 1.0),
        ({"ticket": "b"}, "right", 1.0),
        evaluator_config={"type": "exact_match"},
    )
    other = FeedbackEntry(
        task_id=task.id, inputs={"ticket": "a"}, output="wrong", score=0.0, created_at=task.created_at
    )
    store.feedback.add(task, other)
    measure = FeedbackMeasure(make.config(), store, FakeLLM(judged))
    measured(measure, prompt)
    # Only the wrong answer has another one beside it that is known to be good.
    assert measure.notes(Meter())[1].startswith(
        "the rubric and 1 logged score (2 more could not be scored): accuracy 1.00"
    )


def test_what_the_meter_lets_through_ends_at_the_door(
    store: Store, make: Make, log: Log, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(*({"ticket": str(number)} for number in range(6)), evaluator_config={"type": "exact_match"})
    search = replace(SEARCH, budget=Budget(usd=1e-6))
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.reply("sorted")
        measure = FeedbackMeasure(replace(make.config(), concurrency=1), store)
        _, found = measured(measure, prompt, search)
        request = Improve(task="triage", prompt=prompt.text, cases=found.cases)
        rollouts: list[Scored] = []
        # Nor could the one that was answered be scored: no good answer was logged.
        with pytest.raises(ScoreError, match="could be scored"):
            rollouts.extend(
                measure.evaluator(request).evaluate(prompt.text, [case.id for case in found.cases], [0])
            )
        measure.close()
        assert len(server.record) == 1
    refused = [rollout.error for rollout in rollouts if "not called: $" in (rollout.error or "")]
    assert len(refused) == 5
