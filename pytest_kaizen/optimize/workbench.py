"""What an engine is, and what it works with: rollouts and reflections, remembered, metered and in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from ..errors import BudgetExceeded
from ..models import RolloutKey, Scored
from .budget import Ledger, Meter
from .search import (
    Answer,
    Candidate,
    Evaluator,
    Event,
    Failure,
    Lessons,
    OnEvent,
    ReflectionRequest,
    Reflector,
    RelateRequest,
    Relations,
    Rewrite,
    RewriteRequest,
    SearchJob,
    TaskCase,
)

#: So many reflections may fail, one after the other, before a search gives up.
MAX_ERRORS = 3

AnswerT = TypeVar("AnswerT", bound=Answer)
RequestT = TypeVar("RequestT", ReflectionRequest, RelateRequest, RewriteRequest)


class Estimate(NamedTuple):
    """What a search is expected to use; from the fewest to the most.

    Attributes:
        rollouts: Cases run under candidate prompts.
        calls: Calls to the model that reflects.
    """

    rollouts: tuple[int, int]
    calls: tuple[int, int]


class Engine(Protocol):
    """A way to search for a better prompt."""

    def estimate(self, job: SearchJob, rollouts: int | None) -> Estimate:
        """Say what a search will use.

        Args:
            job: The search.
            rollouts: The cap on rollouts, None for none.
        """
        ...

    def run(
        self,
        job: SearchJob,
        evaluate: Evaluator,
        reflect: Reflector,
        ledger: Ledger,
        budget: Meter,
        on_event: OnEvent,
    ) -> list[Candidate]:
        """Search until the budget or the job's epochs are used up.

        The same seed and the same answers of evaluator and reflector give the same candidates.

        Args:
            job: What is searched.
            evaluate: Runs cases.
            reflect: Reflects on failures.
            ledger: What it holds is not paid for again.
            budget: Refuses what would pass a cap.
            on_event: Is told about progress.

        Returns:
            Candidates other than the active prompt, the best first; none when nothing better was
            found.

        Raises:
            LLMError: The reflecting model failed again and again.
        """
        ...


class Questions:
    """Asks a reflector what the ledger does not know yet.

    Args:
        task: The task that the questions are about.
        model: The model that reflects; another one is asked anew.
        reflector: Reflects.
        ledger: Remembers the answers.
        meter: Caps them.
    """

    def __init__(self, task: str, model: str, reflector: Reflector, ledger: Ledger, meter: Meter) -> None:
        self.task = task
        self.meter = meter
        self._model = model
        self._reflector = reflector
        self._ledger = ledger

    def reflect(self, request: ReflectionRequest) -> Lessons:
        """Draw lessons from failures.

        Raises:
            BudgetExceeded: The budget does not allow it.
            LLMError: The model failed.
        """
        return self._ask(request, Lessons, self._reflector.reflect)

    def relate(self, request: RelateRequest) -> Relations:
        """Find rules that say the same or the opposite; raises as ``reflect`` does."""
        return self._ask(request, Relations, self._reflector.relate)

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        """Ask for a whole text; raises as ``reflect`` does."""
        return self._ask(request, Rewrite, self._reflector.rewrite)

    def _ask(self, request: RequestT, kind: type[AnswerT], ask: Callable[[RequestT], AnswerT]) -> AnswerT:
        key = hashlib.sha256(f"{self.task}\n{self._model}\n{request.model_dump_json()}".encode()).hexdigest()
        kept = self._ledger.reflection(key)
        if kept is not None:
            answer = kind.model_validate(kept)
            cap = self.meter.budget.calls
            if cap is not None and not self.meter.knows(key) and self.meter.used.calls + answer.calls > cap:
                raise BudgetExceeded(f"all {cap} calls to the reflecting model are used")
            self.meter.count_reflection(key, answer.calls, answer.cost_usd)
            return answer
        answer = ask(request)
        self._ledger.save_reflection(key, answer.model_dump(mode="json"))
        # Its calls were counted one by one as they were made.
        self.meter.count_reflection(key, 0, 0.0)
        return answer


class Workbench(Questions):
    """Everything an engine may do that costs something.

    What the ledger knows is taken from it. Results come in the order they were asked for, whatever
    order they arrived in, so that a search depends on its seed and on what was measured alone.

    Args:
        job: The search.
        evaluator: Runs cases.
        reflector: Reflects.
        ledger: Remembers both.
        meter: Caps both.
        on_event: Is told about progress.
    """

    def __init__(
        self,
        job: SearchJob,
        evaluator: Evaluator,
        reflector: Reflector,
        ledger: Ledger,
        meter: Meter,
        on_event: OnEvent,
    ) -> None:
        super().__init__(job.task, job.reflector, reflector, ledger, meter)
        self.job = job
        self.best: float | None = None
        self._evaluator = evaluator
        self._on_event = on_event
        self._known: dict[RolloutKey, Scored] = {}

    def say(self, step: str) -> None:
        """Report progress."""
        self._on_event(Event(step, self.meter.used.model_copy(), self.best))

    def run(self, prompt: str, cases: Sequence[TaskCase], samples: Sequence[int] = (0,)) -> list[Scored]:
        """Run cases under a prompt.

        Args:
            prompt: Its text.
            cases: The cases.
            samples: The numbers of their samples.

        Returns:
            The rollouts: for each case its samples, in the order given.

        Raises:
            BudgetExceeded: Not all of them fit into the budget; none was run.
        """
        places = {self._key(prompt, case, sample): (case, sample) for case in cases for sample in samples}
        fresh = {key: place for key, place in places.items() if key not in self._known}
        growth = len(prompt) / max(len(self.job.prompt), 1)
        self.meter.require_rollouts(sum(not self.meter.knows(key) for key in fresh), growth)
        owed: dict[RolloutKey, tuple[TaskCase, int]] = {}
        for key, place in fresh.items():
            kept = self._ledger.rollout(key)
            if kept is None:
                owed[key] = place
            else:
                self._known[key] = kept
                self.meter.count_rollout(key, kept.cost_usd, paid=False)
        if self.meter.blind and len(owed) > 1:
            first = next(iter(owed))
            self._pay(prompt, {first: owed.pop(first)})
            self.meter.require_rollouts(len(owed), growth)
        self._pay(prompt, owed)
        return [self._known[self._key(prompt, case, sample)] for case in cases for sample in samples]

    def _pay(self, prompt: str, owed: dict[RolloutKey, tuple[TaskCase, int]]) -> None:
        """Have rollouts run that nobody has paid for; cases that lack the same samples go together."""
        groups: dict[str, list[int]] = {}
        for case, sample in owed.values():
            groups.setdefault(case.id, []).append(sample)
        batches: dict[tuple[int, ...], list[str]] = {}
        for case_id, numbers in groups.items():
            batches.setdefault(tuple(numbers), []).append(case_id)
        keys = {(case.id, sample): key for key, (case, sample) in owed.items()}
        for numbers_of, ids in batches.items():
            for scored in self._evaluator.evaluate(prompt, ids, numbers_of):
                key = keys.pop((scored.case_id, scored.sample), None)
                # What was not asked for is no evidence, and was not allowed for by the meter.
                if key is not None:
                    self._take(key, scored)
        for (case_id, sample), key in keys.items():
            self._take(key, Scored(case_id=case_id, sample=sample, error="the evaluator gave no result"))

    def _take(self, key: RolloutKey, scored: Scored) -> None:
        if scored.score is None and scored.error is None:
            scored = scored.model_copy(update={"error": "the case has no score"})
        self._known[key] = scored
        self.meter.count_rollout(key, scored.cost_usd, paid=True)
        # A rollout that failed is worth another try by a later job.
        if scored.error is None:
            self._ledger.save_rollout(key, scored)

    def _key(self, prompt: str, case: TaskCase, sample: int) -> RolloutKey:
        digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
        return RolloutKey(digest, case.key, sample, self.job.model, self.job.rubric)


def failures_in(rollouts: Iterable[Scored], cases: Iterable[TaskCase]) -> list[Failure]:
    """Return the rollouts with less than full marks, the worst first."""
    inputs = {case.id: case.input for case in cases}
    failures = [
        Failure(
            case_id=rollout.case_id,
            trace_id=rollout.trace_id,
            input=inputs[rollout.case_id],
            output=rollout.output,
            score=rollout.score,
            feedback=tuple(item for item in rollout.feedback if item.score is None or item.score < 1),
        )
        for rollout in rollouts
        if rollout.score is not None and rollout.score < 1
    ]
    return sorted(failures, key=lambda failure: (failure.score or 0.0, failure.case_id))


def mean_score(rollouts: Iterable[Scored]) -> float | None:
    """Return the mean over cases of the mean over samples; None without a score."""
    by_case: dict[str, list[float]] = {}
    for rollout in rollouts:
        if rollout.score is not None:
            by_case.setdefault(rollout.case_id, []).append(rollout.score)
    means = [sum(scores) / len(scores) for scores in by_case.values()]
    return sum(means) / len(means) if means else None
