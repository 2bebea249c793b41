"""Rollouts: what a sample under a candidate prompt is worth, why it is not worth more, and no secrets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..models import Case, Feedback, Sample, Score, Scored, SpanKind
from ..score.check import as_text

if TYPE_CHECKING:
    from ..capture import Redactor
    from ..optimize import Evaluator

#: The criterion under which an exception of the test's body is told.
RAISED = "test"


def rollout(case_id: str, number: int, sample: Sample) -> Scored:
    """Say what a sample is worth to a search.

    The score is the sample's metric ``score``. A test that scores nothing counts by whether it
    passed. One that raises is worth 0, unless a model call failed: that says nothing about the
    prompt, and the rollout is an error.

    Args:
        case_id: The case.
        number: The number of the sample, from 0.
        sample: The finished sample.
    """
    trace = sample.trace
    paid = [span for span in trace.spans if span.kind in (SpanKind.LLM, SpanKind.JUDGE)]
    costs = [span.cost_usd for span in paid if span.cost_usd is not None]
    failed = next((span.error for span in trace.llm_spans if span.error is not None), None)
    score: float | None = None
    error = None
    if sample.error is not None and failed is not None:
        error = f"a model call failed: {failed}"
    elif sample.error is not None:
        score = 0.0
    elif "score" in sample.metrics or trace.scores:
        score = sample.metrics.get("score")
    else:
        score = sample.metrics.get("pass_rate")
    if score is None and error is None:
        error = sample.missing.get("score", "the sample has no score")
    return Scored(
        case_id=case_id,
        sample=number,
        score=score,
        output=None if trace.output is None else as_text(trace.output),
        feedback=_feedback(sample),
        objectives=_objectives(sample),
        trace_id=trace.id,
        cost_usd=math.fsum(costs) if len(costs) == len(paid) else None,
        error=error,
    )


def feedback_of(score: Score) -> Feedback:
    """Say what a scorer found."""
    return Feedback(
        criterion=score.name,
        score=score.value,
        expected=score.expected,
        reason=score.reason if score.error is None else score.error,
    )


def gives_reasons(cases: Iterable[Case]) -> bool:
    """Whether the samples of cases that lack full marks say why, at least one of them."""
    found = [rollout(case.id, number, sample) for case in cases for number, sample in enumerate(case.samples)]
    weak = [scored for scored in found if scored.score is not None and scored.score < 1]
    return not weak or any(item.reason for scored in weak for item in scored.feedback if item.score != 1)


def _feedback(sample: Sample) -> tuple[Feedback, ...]:
    """Collect what each scorer found; a rubric speaks through its criteria."""
    found = [feedback_of(score) for score in sample.trace.scores if score.name != score.rubric]
    if sample.error is not None:
        found.append(Feedback(criterion=RAISED, score=0.0, expected="does not raise", reason=sample.error))
    return tuple(found)


def _objectives(sample: Sample) -> dict[str, float]:
    names = {score.name for score in sample.trace.scores}
    return {name: sample.metrics[name] for name in sorted(names) if name in sample.metrics}


class RedactedEvaluator:
    """Takes secrets out of what an evaluator hands back.

    Args:
        evaluator: Runs the cases.
        redactor: Finds the secrets.
    """

    def __init__(self, evaluator: Evaluator, redactor: Redactor) -> None:
        self._evaluator = evaluator
        self._redactor = redactor

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterator[Scored]:
        """Run cases under a prompt; see ``optimize.Evaluator``."""
        for scored in self._evaluator.evaluate(prompt, cases, samples):
            texts = scored.model_dump(include={"output", "feedback", "error"})
            yield Scored.model_validate({**scored.model_dump(), **self._redactor.data(texts)})
