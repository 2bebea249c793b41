"""Rollouts without secrets: before they are stored, and before a model reflects on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..capture import Redactor
from ..models import Scored
from ..optimize import Evaluator


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
