"""What a search over feedback may cost, before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Task
from pytest_kaizen.optimize import Budget
from pytest_kaizen.pipeline.feedback.measure import Forecast, forecast
from pytest_kaizen.pipeline.search import Search
from pytest_kaizen.prompts import Prompt
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from .conftest import Make


def forecast_of(store: Store, make: Make, task: Task, cases: int) -> Forecast:
    store.tasks.add(task)
    for number in range(cases):
        store.feedback.add(task, make.entry(task, {"ticket": str(number)}))
    text = "Sort the ticket."
    prompt = Prompt(task.name, 1, text, sha256_of(text), Path("the store"))
    search = Search(task.name, budget=Budget(usd=5.0, rollouts=400), source="feedback")
    return forecast(make.config(), store, task, search, prompt)


def test_a_judged_task(store: Store, make: Make) -> None:
    task = make.task(judge_model="claude-haiku-4-5", teacher_model="claude-sonnet-4-5")
    cost = forecast_of(store, make, task, 50)
    assert (cost.search, cost.validation) == (20, 9)
    assert (cost.reflector, cost.judge) == ("claude-sonnet-4-5", "claude-haiku-4-5")
    # No more than the cap, and each is answered and judged.
    assert cost.rollouts == 400
    assert cost.calls > 2 * cost.rollouts
    assert 0.1 < cost.usd < 50


def test_a_task_that_no_model_judges_takes_fewer_calls(store: Store, make: Make) -> None:
    cost = forecast_of(store, make, make.task(evaluator_config={"type": "exact_match"}), 50)
    assert cost.rollouts < cost.calls < 2 * cost.rollouts


@pytest.mark.parametrize(
    ("fields", "cases", "message"),
    [
        ({}, 0, "no feedback of 'triage' has inputs"),
        ({"teacher_model": "mystery"}, 50, "'mystery' has no known price"),
        ({"judge_model": "mystery"}, 50, "'mystery' has no known price"),
    ],
)
def test_what_cannot_be_searched(
    store: Store, make: Make, fields: dict[str, str], cases: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        forecast_of(store, make, make.task(**fields), cases)
