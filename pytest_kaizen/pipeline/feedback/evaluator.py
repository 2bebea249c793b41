"""Logged inputs as an evaluator: a model answers them under a candidate prompt, a rubric scores that.

How far the rubric's scores agree with the logged ones is measured before a search relies on them.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from pydantic import BaseModel

from ...errors import LLMError, ScoreError
from ...llm import LLM, Completion, LLMRequest
from ...models import AUTO_EVAL, Agreement, Feedback, FeedbackEntry, Pair, Scored
from ...optimize import CappedLLM, Ledger, Meter
from ...optimize.search import input_text
from ...prices import Prices
from ...prompts.files import fill, variables_in
from ...score import WHOLE, Judge, Rubric, agreement, score_rubric
from ...score.check import as_text
from ..rollouts import feedback_of
from .logged import LoggedCase, is_good

#: The most tokens of an answer.
MAX_TOKENS = 4096
#: The criterion under which a candidate is told that its variables do not fit.
VARIABLES = "variables"

#: The newest entries that are scored again.
MOST = 40
_FEWEST = 10
#: Landis and Koch (1977) call less than this fair at best.
_POOR = 0.4
_THREADS = 8


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


class LoggedAgreement(BaseModel, defer_build=True):
    """A measurement, as the ledger keeps it.

    Attributes:
        pairs: Logged scores and the rubric's, one pair an entry.
        failed: Entries that the rubric gave no score.
    """

    pairs: list[Pair]
    failed: int
    cost_usd: float


class AgreementCheck:
    """Has logged outputs scored by a rubric and compares.

    Args:
        rubric: What scores.
        judge: Makes the judge that asks through a door.
        judged_by: All that a score depends on, as text.
    """

    def __init__(self, rubric: Rubric, judge: Callable[[LLM], Judge], judged_by: str) -> None:
        self._rubric = rubric
        self._judge = judge
        self._judged_by = judged_by

    def notes(
        self, entries: Sequence[FeedbackEntry], llm: LLM, prices: Prices, meter: Meter, ledger: Ledger
    ) -> tuple[str, ...]:
        """Say how far the two agree, and warn where they hardly do or nobody knows.

        Args:
            entries: Feedback of the task, the newest first.
            llm: The door to the judge's model.
            prices: What its calls cost.
            meter: Counts and caps what is spent.
            ledger: Remembers the measurement.
        """
        scored = comparable(entries)[:MOST]
        if not scored:
            return (
                "warning: no logged score to compare the rubric's with, so nobody knows whether it means "
                "what your users mean",
            )
        found = self._measure(scored, entries, CappedLLM(llm, meter, prices, reflects=False), meter, ledger)
        if not found.pairs:
            return (f"warning: none of {len(scored)} logged outputs could be scored again",)
        return agreement_notes(agreement(WHOLE, found.pairs, None), len(found.pairs), found.failed)

    def _measure(
        self,
        scored: Sequence[FeedbackEntry],
        entries: Sequence[FeedbackEntry],
        llm: LLM,
        meter: Meter,
        ledger: Ledger,
    ) -> LoggedAgreement:
        text = "\n".join([self._judged_by, *(f"{e.id} {e.score}" for e in scored)])
        key = f"agreement {hashlib.sha256(text.encode()).hexdigest()}"
        kept = ledger.reflection(key)
        if kept is not None:
            known = LoggedAgreement.model_validate(kept)
            meter.count_reflection(key, 0, known.cost_usd)
            return known
        judge, before = self._judge(llm), meter.used.usd
        pool = ThreadPoolExecutor(_THREADS)
        try:
            found_pairs = pool.map(lambda entry: self._pair(entry, _others(entry, entries), judge), scored)
            pairs = [pair for pair in found_pairs if pair is not None]
        finally:
            # Whoever breaks it off does not wait for, or pay for, what has not begun.
            pool.shutdown(cancel_futures=True)
        spent = meter.used.usd - before
        found = LoggedAgreement(pairs=pairs, failed=len(scored) - len(pairs), cost_usd=spent)
        if pairs:
            ledger.save_reflection(key, found.model_dump(mode="json"))
        # Its calls were paid for one by one as they were made.
        meter.count_reflection(key, 0, 0.0)
        return found

    def _pair(self, entry: FeedbackEntry, reference: str | None, judge: Judge) -> Pair | None:
        scores = score_rubric(
            self._rubric, input=entry.inputs, output=entry.output, reference=reference, judge=judge
        )
        value = scores[-1].value
        return None if value is None or entry.score is None else (entry.score, value)


def comparable(entries: Sequence[FeedbackEntry]) -> list[FeedbackEntry]:
    """Return the entries with an output that somebody other than a judge gave a score."""
    return [
        entry
        for entry in entries
        if entry.output is not None and entry.score is not None and entry.source != AUTO_EVAL
    ]


def agreement_notes(found: Agreement, entries: int, failed: int) -> tuple[str, ...]:
    """Put an agreement into words, with its intervals."""
    low, high = found.accuracy_interval
    bias_low, bias_high = found.bias_interval
    lost = f" ({failed} more could not be scored)" if failed else ""
    said = (
        f"the rubric and {entries} logged score{'s' * (entries != 1)}{lost}: accuracy {found.accuracy:.2f} "
        f"[{low:.2f}, {high:.2f}], {found.kappa_text}, "
        f"bias {found.bias:+.2f} [{bias_low:+.2f}, {bias_high:+.2f}]"
    )
    if found.kappa is not None and found.kappa < _POOR:
        return (
            said,
            "warning: they agree poorly, so a prompt that the rubric finds better may please nobody; "
            "word the criteria after what your users score",
        )
    if entries < _FEWEST:
        return (
            said,
            f"warning: too few logged scores ({entries}) to tell how far the rubric is to be trusted",
        )
    return (said,)


def _others(entry: FeedbackEntry, entries: Sequence[FeedbackEntry]) -> str | None:
    """Return a good answer to the same input that is not the very output which is to be scored."""
    if entry.inputs is None:
        return None
    same = input_text(entry.inputs)
    return next(
        (
            other.output
            for other in entries
            if other.id != entry.id
            and is_good(other)
            and other.inputs is not None
            and input_text(other.inputs) == same
        ),
        None,
    )
