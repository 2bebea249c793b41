"""The judge: a model that answers the criteria no check can answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import LLMError
from ..llm import LLM, LLMRequest
from ..models import Score, ScoreSource
from .judge_prompt import build_request, read_answer
from .rubric import Criterion, Rubric

#: How often an answer that cannot be read is asked for again.
RETRIES = 2
DEFAULT_MAX_TOKENS = 2048


class Judge:
    """Asks a model about the judged criteria of a rubric, all in one call.

    Args:
        llm: The door to the model; it meters, caps and retries failed calls by itself.
        model: The judge's model.
        max_tokens: The most tokens of one answer, the model's reasoning included.
    """

    def __init__(self, llm: LLM, model: str, max_tokens: int = DEFAULT_MAX_TOKENS) -> None:
        self.model = model
        self._llm = llm
        self._max_tokens = max_tokens

    def judge(
        self,
        rubric: Rubric,
        criteria: Sequence[Criterion],
        *,
        input: Any,  # noqa: A002
        output: Any,
        reference: Any,
    ) -> list[Score]:
        """Score criteria of a rubric.

        Args:
            rubric: The rubric they belong to.
            criteria: The criteria to ask about; without any, no call is made.
            input: What the program was given; None when unknown.
            output: What it answered.
            reference: A good answer; None when there is none.

        Returns:
            A score per criterion, in their order. When the model fails or cannot be understood,
            each is an error that says why; nothing is raised for it.
        """
        if not criteria:
            return []
        request = build_request(
            rubric,
            criteria,
            model=self.model,
            max_tokens=self._max_tokens,
            input=input,
            output=output,
            reference=reference,
        )
        try:
            answers = self._ask(request, criteria)
        except LLMError as exc:
            return [_score(rubric, criterion, error=f"judge: {exc}") for criterion in criteria]
        except Exception as exc:
            # The door may be anyone's: what breaks in it is a missing score, not a broken test.
            reason = f"judge: {type(exc).__name__}: {exc}"
            return [_score(rubric, criterion, error=reason) for criterion in criteria]
        return [
            _score(rubric, criterion, value=value, reason=reason)
            for criterion, (value, reason) in zip(criteria, answers, strict=True)
        ]

    def _ask(self, request: LLMRequest, criteria: Sequence[Criterion]) -> list[tuple[float, str]]:
        problem = ""
        for _ in range(1 + RETRIES):
            completion = self._llm.complete(request)
            try:
                return read_answer(completion.data, criteria)
            except ValueError as exc:
                problem = str(exc)
        raise LLMError(f"{self.model} gave no readable answer in {1 + RETRIES} attempts: {problem}")


def _score(
    rubric: Rubric,
    criterion: Criterion,
    *,
    value: float | None = None,
    reason: str | None = None,
    error: str | None = None,
) -> Score:
    return Score(
        name=f"{rubric.name}.{criterion.name}",
        value=value,
        source=ScoreSource.JUDGE,
        reason=reason,
        expected=criterion.expected,
        error=error,
        rubric=rubric.name,
        weight=criterion.weight,
    )
