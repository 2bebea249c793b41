"""The logged feedback of a task as what candidates are measured with, and what such a search may cost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ...capture import Redactor
from ...config import Config, JudgeConfig
from ...errors import UsageError
from ...llm import BASE_URL_VARIABLE, LLM, AnthropicLLM
from ...models import FeedbackEntry, Task, Trace, Usage
from ...optimize import Evaluator, Improve, Meter, plan_improve
from ...prices import Prices, load_prices
from ...prompts import Prompt
from ...score import Judge, Rubric
from ...store import Store
from ..judge import Calibrations, StoredAnswers
from ..search import Measured, Search
from . import scoring_rubric
from .evaluator import AgreementCheck, FeedbackEvaluator, request_for
from .logged import LoggedCase, logged_cases

#: Inputs that run at the same time, where nobody says otherwise.
_THREADS = 8
#: Seconds to wait for an answer.
_TIMEOUT_S = 120.0
#: The most entries that are read.
_MOST_ENTRIES = 10_000

#: Characters of a token; tokens of an answer, of a verdict and of a reflection's question and answer.
_TOKEN = 4
_ANSWER, _VERDICT, _REFLECTION = 300, 300, (4000, 1500)


class FeedbackMeasure:
    """Measures with the inputs that were logged: a model answers them, a rubric scores it.

    See ``search.Measure``.

    Args:
        config: Who judges where the task does not say; the task's rubric.
        store: Has the task and its feedback.
        llm: The door to the models; the environment's by default.
    """

    _task: Task
    _search: Search
    _entries: list[FeedbackEntry]
    _judging: JudgeConfig
    _calibrations: Calibrations
    _rubric: Rubric
    _logged: list[LoggedCase]
    _model: str
    _said: str

    def __init__(self, config: Config, store: Store, llm: LLM | None = None) -> None:
        self._config = config
        self._store = store
        self._given = llm
        self._own: AnthropicLLM | None = None
        self._prices = load_prices(config.prices)
        self._answers = None
        if config.judge_cache:
            self._answers = StoredAnswers(store, Redactor(os.environ, config.redact))

    def fix(self, search: Search) -> Search:
        """Take the feedback that there is now, or that a search which is gone on with had."""
        task = self._store.tasks.find(search.task)
        if task is None:
            raise UsageError(
                f"'{search.task}' has no logged feedback; log some: "
                f"`kaizen feedback add --task {search.task}`"
            )
        last = self._store.feedback.last(task.id) if search.last is None else search.last
        self._task, self._search = task, replace(search, last=last)
        self._entries = self._store.feedback.newest(task.id, limit=_MOST_ENTRIES, last=last)
        if not any(entry.inputs is not None for entry in self._entries):
            raise UsageError(f"no feedback of '{task.name}' has inputs that a candidate could be run on")
        judge = self._config.judge
        self._judging = judge.model_copy(update={"model": task.judge_model or judge.model})
        self._calibrations = Calibrations(self._store, self._judging)
        self._rubric = scoring_rubric(task, self._config)
        return self._search

    def cases(self, prompt: Prompt, keep: Callable[[Trace], None]) -> Measured:  # noqa: ARG002 - no traces
        """Return the newest inputs that fit the active prompt, no more than the budget can compare."""
        self._logged, left_out = self._fitting(prompt)
        self._model = self._task.target_model or prompt.model or self._judging.model
        self._require_prices()
        known, count = self._task.target_model or prompt.model, len(self._logged)
        self._said = (
            f"{count} logged input{'s' * (count != 1)}, answered by {self._model}"
            + ("" if known else " (the judge's model: no other is known)")
            + left_out
        )
        return Measured(
            cases=tuple(logged.case for logged in self._logged),
            model=self._model,
            rubric=hashlib.sha256(self._judged_by.encode()).hexdigest(),
            reflector=self._task.teacher_model,
        )

    def notes(self, meter: Meter) -> tuple[str, ...]:
        """Say what is measured with, and how far the rubric agrees with the logged scores."""
        check = AgreementCheck(self._rubric, self._judge, self._judged_by)
        return (self._said, *check.notes(self._entries, self._door, self._prices, meter, self._store))

    def evaluator(self, request: Improve) -> Evaluator:  # noqa: ARG002 - a suite has to know the split
        """Return what runs the cases."""
        threads = self._config.concurrency or _THREADS
        return FeedbackEvaluator(self._logged, self._model, self._rubric, self._door, self._judge, threads)

    def close(self) -> None:
        """Close the connections."""
        if self._own is not None:
            self._own.close()

    @property
    def _judged_by(self) -> str:
        """All that a score comes from; what another server answers is measured anew."""
        server = os.environ.get(BASE_URL_VARIABLE)
        return repr((self._rubric.sha256, self._judging.model, self._judging.votes, server))

    @property
    def _door(self) -> LLM:
        if self._given is not None:
            return self._given
        if self._own is None:
            # The last line: what the meter let through by a wrong guess ends here.
            self._own = AnthropicLLM(
                self._prices,
                timeout_s=max(self._config.judge.timeout_s, _TIMEOUT_S),
                budget_usd=self._search.budget.usd,
            )
        return self._own

    def _fitting(self, prompt: Prompt) -> tuple[list[LoggedCase], str]:
        every = logged_cases(self._entries)
        try:
            request_for(prompt.text, dict.fromkeys(prompt.variables, ""), "")
        except ValueError as exc:
            raise UsageError(
                f"version {prompt.version} of '{prompt.task}' cannot be filled in: {exc}"
            ) from None
        fit = [case for case in every if all(name in case.inputs for name in prompt.variables)]
        if not fit:
            raise UsageError(
                f"no logged input of '{prompt.task}' has all variables of version {prompt.version}: "
                f"{', '.join(prompt.variables)}"
            )
        cap = self._search.budget.rollouts
        # The comparison after a search takes half of the cases, under both prompts.
        kept = fit if cap is None else fit[: max(cap // 2, 1)]
        said = []
        if len(fit) < len(every):
            said.append(f"{len(every) - len(fit)} without a variable of the prompt left out")
        if len(kept) < len(fit):
            said.append(f"{len(fit) - len(kept)} older than what the budget can compare")
        return kept, f"; {', '.join(said)}" if said else ""

    def _require_prices(self) -> None:
        models = {self._model, self._judging.model} if self._rubric.judged else {self._model}
        unknown = sorted(model for model in models if self._prices.find(model) is None)
        if self._search.budget.usd is not None and unknown:
            raise UsageError(
                f"'{unknown[0]}' has no known price, so the budget of ${self._search.budget.usd:g} cannot be "
                "kept; add the model to your price file (prices in kaizen.yaml)"
            )

    def _judge(self, door: LLM) -> Judge:
        return Judge(
            door,
            self._judging.model,
            self._judging.max_tokens,
            votes=self._judging.votes,
            cache=self._answers,
            refusal=self._calibrations.refusal,
        )


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
    # What improves a prompt knows all that measures, this too.
    from ..improve import improvement

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
