"""What a search that measures with logged feedback may cost, told without asking a model."""

from __future__ import annotations

from typing import NamedTuple

from ...config import Config
from ...errors import UsageError
from ...models import Task, Usage
from ...optimize import plan_improve
from ...prices import Prices, load_prices
from ...prompts import Prompt
from ...store import Store
from ..improve import improvement
from ..search import Search
from .measure import FeedbackMeasure
from .scorer import scoring_rubric

#: Characters of a token; tokens of an answer, of a verdict and of a reflection's question and answer.
_TOKEN = 4
_ANSWER, _VERDICT, _REFLECTION = 300, 300, (4000, 1500)


class Forecast(NamedTuple):
    """What a search may take at most, if nothing caps its cost.

    Attributes:
        usd: From the lengths of the texts, with answers of a common length.
        calls: To all models together.
        rollouts: Inputs that are answered under the prompt or a candidate.
        search: The inputs that failures are read of.
        validation: The inputs that candidates are picked by.
        reflector: The model that reflects.
        judge: The model that judges.
    """

    usd: float
    calls: int
    rollouts: int
    search: int
    validation: int
    reflector: str
    judge: str


def forecast(config: Config, store: Store, task: Task, search: Search, prompt: Prompt) -> Forecast:
    """Say what a search may cost.

    Args:
        config: The configuration.
        store: Has the task's feedback.
        task: The task.
        search: What is searched for, with feedback as the metric.
        prompt: The prompt that it starts from.

    Raises:
        UsageError: There is no feedback to search with, or a model's price is not known.
    """
    measure = FeedbackMeasure(config, store)
    search = measure.fix(search)
    measured = measure.cases(prompt, lambda _: None)
    request = improvement(config, store, search, prompt.text, measured)
    plan = plan_improve(request, search.budget)
    judge = task.judge_model or config.judge.model
    prices = load_prices(config.prices)
    length = sum(len(case.input) for case in measured.cases) // len(measured.cases)
    asked = (len(prompt.text) + length) // _TOKEN
    each, calls = _cost(prices, measured.model, asked, _ANSWER), 1
    rubric = scoring_rubric(task, config)
    if rubric.judged:
        votes = rubric.votes or config.judge.votes
        criteria = sum(len(criterion.description) for criterion in rubric.judged) // _TOKEN
        each += votes * _cost(prices, judge, asked + _ANSWER + criteria, _VERDICT)
        calls += votes
    return Forecast(
        usd=plan.rollouts * each + plan.calls * _cost(prices, request.reflector, *_REFLECTION),
        calls=plan.rollouts * calls + plan.calls,
        rollouts=plan.rollouts,
        search=len(plan.split.search),
        validation=len(plan.split.validation),
        reflector=request.reflector,
        judge=judge,
    )


def _cost(prices: Prices, model: str, asked: int, answered: int) -> float:
    cost = prices.cost(model, Usage(input_tokens=asked, output_tokens=answered))
    if cost is None:
        raise UsageError(
            f"'{model}' has no known price, so no budget can be kept; add the model to the price file "
            "(prices in kaizen.yaml)"
        )
    return cost
