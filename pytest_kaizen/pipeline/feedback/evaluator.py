"""Logged inputs as an evaluator: a model answers them under a candidate prompt, a rubric scores that."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from ...errors import LLMError, ScoreError
from ...llm import LLM, Completion, LLMRequest
from ...models import Feedback, Scored
from ...optimize.cases import input_text
from ...prompts.text import fill, variables_in
from ...score import Judge, Rubric, score_rubric
from ...score.checks.base import as_text
from ..rollouts import feedback_of
from .cases import LoggedCase

#: The most tokens of an answer.
MAX_TOKENS = 4096
#: The criterion under which a candidate is told that its variables do not fit.
VARIABLES = "variables"


def request_for(prompt: str, inputs: Mapping[str, Any], model: str) -> LLMRequest:
    """Put an input into a prompt, and what the prompt has no variable for into the user's message.

    A prompt that takes up all of the input is itself the user's message.

    Raises:
        ValueError: The input has no value for a variable of the prompt.
    """
    names = variables_in(prompt)
    text = fill(prompt, {name: as_text(inputs[name]) for name in names if name in inputs})
    left = {name: value for name, value in inputs.items() if name not in names}
    system, message = (text, input_text(left)) if left else ("", text)
    return LLMRequest(model=model, system=system, prompt=message, max_tokens=MAX_TOKENS)


class FeedbackEvaluator:
    """Runs logged inputs, several at once; one that breaks costs its case. See ``optimize.Evaluator``.

    As long as nothing got a score, what breaks is raised: without a key for a model, or with a wrong one,
    no case will do better.

    Args:
        cases: The inputs.
        model: The model that answers.
        rubric: What scores the answers.
        llm: The door to the models.
        judge: Makes the judge that asks through a door.
        threads: How many inputs are run at the same time.
    """

    def __init__(
        self,
        cases: Iterable[LoggedCase],
        model: str,
        rubric: Rubric,
        llm: LLM,
        judge: Callable[[LLM], Judge],
        threads: int = 8,
    ) -> None:
        self._cases = {case.id: case for case in cases}
        self._model = model
        self._rubric = rubric
        self._llm = llm
        self._judge = judge
        self._threads = threads
        self._scored = False
        self._transient = False

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterator[Scored]:
        """Run cases under a prompt; see ``optimize.Evaluator``.

        Raises:
            ScoreError: None of these cases got a score, nor any before; says why the last one did not.
        """
        error = None
        asks = [(self._cases[case], sample) for case in cases for sample in samples]
        pool = ThreadPoolExecutor(self._threads)
        try:
            for future in as_completed([pool.submit(self._run, prompt, *ask) for ask in asks]):
                scored = future.result()
                self._scored = self._scored or scored.score is not None
                error = scored.error or error
                yield scored
        finally:
            # Whoever stops listening ends what has not begun.
            pool.shutdown(wait=False, cancel_futures=True)
        if error is not None and not self._scored:
            raise ScoreError(
                f"no logged input of {len(cases)} could be scored: {error}", transient=self._transient
            )

    def _run(self, prompt: str, case: LoggedCase, sample: int) -> Scored:
        door = CountedLLM(self._llm)
        try:
            return self._rollout(door, prompt, case, sample)
        except Exception as exc:
            # The door may be anyone's: what breaks in it is a missing score.
            error = str(exc) if isinstance(exc, LLMError) else f"{type(exc).__name__}: {exc}"
            return Scored(case_id=case.id, sample=sample, error=error, cost_usd=door.cost_usd)
        finally:
            self._transient = door.transient

    def _rollout(self, door: CountedLLM, prompt: str, case: LoggedCase, sample: int) -> Scored:
        try:
            request = request_for(prompt, case.inputs, self._model)
        except ValueError as exc:
            # The active prompt's variables fit all cases, so this is the candidate's own fault.
            return Scored(case_id=case.id, sample=sample, score=0.0, feedback=(_unfit(exc),), cost_usd=0.0)
        output = door.complete(request).text
        scores = score_rubric(
            self._rubric,
            input=case.inputs,
            output=output,
            reference=case.reference,
            judge=self._judge(door),
            sample=sample,
        )
        total = scores[-1]
        return Scored(
            case_id=case.id,
            sample=sample,
            score=total.value,
            output=output,
            feedback=tuple(feedback_of(score) for score in scores[:-1]),
            objectives={score.name: score.value for score in scores if score.value is not None},
            cost_usd=door.cost_usd,
            error=total.error,
        )


class CountedLLM:
    """A door that adds up what goes through it.

    Args:
        llm: The door behind it.

    Attributes:
        calls: Calls made.
        transient: Whether one of them failed in a way that may pass.
    """

    def __init__(self, llm: LLM) -> None:
        self.calls = 0
        self.transient = False
        self._costs: list[float | None] = []
        self._llm = llm
        self._lock = threading.Lock()

    @property
    def cost_usd(self) -> float | None:
        """What the calls cost; None when that is not known of one."""
        known = [cost for cost in self._costs if cost is not None]
        return math.fsum(known) if len(known) == self.calls else None

    def complete(self, request: LLMRequest) -> Completion:
        """Ask the model behind the door; raises as it does."""
        with self._lock:
            self.calls += 1
        try:
            completion = self._llm.complete(request)
        except LLMError as exc:
            self.transient = self.transient or exc.transient
            raise
        with self._lock:
            self._costs.append(completion.cost_usd)
        return completion


def _unfit(exc: ValueError) -> Feedback:
    return Feedback(criterion=VARIABLES, score=0.0, expected="uses what it is given", reason=str(exc))
