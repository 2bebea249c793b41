"""The judge: a model that answers the criteria no check can answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import LLMError
from ..llm import LLM
from ..models import AnswerKey, Score, ScoreSource
from .asking import AnswerCache, Asker
from .judge_prompt import build_request, content_hash, read_answer
from .rubric import Criterion, Rubric

DEFAULT_MAX_TOKENS = 2048

Answers = dict[str, tuple[float, str]]


class Judge:
    """Asks a model about the judged criteria of a rubric, all in one call a vote.

    A rubric (or ``votes``) may have it asked several times. Each vote is a call of its own, with
    the criteria in another order, so that what their order does to the answers averages out. The
    score is then the mean of the votes. More than half of the votes must succeed, else the score
    is an error; so a single vote that fails is an error too.

    Args:
        llm: The door to the model; it meters, caps and retries failed calls by itself.
        model: The judge's model.
        max_tokens: The most tokens of one answer, the model's reasoning included.
        votes: How often each output is judged, where the rubric does not say.
        cache: Where answers are kept; an answer from there costs no call.
        refusal: Says why a rubric must not be judged by this judge; None when it may be.
    """

    def __init__(
        self,
        llm: LLM,
        model: str,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        *,
        votes: int = 1,
        cache: AnswerCache | None = None,
        refusal: Callable[[Rubric], str | None] | None = None,
    ) -> None:
        self.model = model
        self.asker = Asker(llm, cache)
        self.max_tokens = max_tokens
        self._votes = votes
        self._refusal = refusal

    def votes(self, rubric: Rubric) -> int:
        """Return how often an output is judged by a rubric."""
        return rubric.votes or self._votes

    def judge(
        self,
        rubric: Rubric,
        criteria: Sequence[Criterion],
        *,
        input: Any,  # noqa: A002
        output: Any,
        reference: Any,
        sample: int = 0,
    ) -> list[Score]:
        """Score criteria of a rubric.

        Args:
            rubric: The rubric they belong to.
            criteria: The criteria to ask about; without any, no call is made.
            input: What the program was given; None when unknown.
            output: What it answered.
            reference: A good answer; None when there is none.
            sample: The number of the sample that the output is from: equal outputs of different
                samples are judged one by one, and a later run finds the answers of each.

        Returns:
            A score per criterion, in their order. When the model fails or cannot be understood,
            each is an error that says why; nothing is raised for it.
        """
        if not criteria:
            return []
        reason = self._refusal(rubric) if self._refusal is not None else None
        if reason is not None:
            return [_score(rubric, criterion, error=reason) for criterion in criteria]
        wanted = self.votes(rubric)
        answers: list[Answers] = []
        problems: list[str] = []
        for vote in range(wanted):
            try:
                answers.append(
                    self._vote(rubric, _rotated(criteria, vote), vote, input, output, reference, sample)
                )
            except LLMError as exc:
                problems.append(str(exc))
            except Exception as exc:
                # The door may be anyone's: what breaks in it is a missing score, not a broken test.
                problems.append(f"{type(exc).__name__}: {exc}")
            if 2 * len(problems) >= wanted:
                few = f"{len(problems)} of {wanted} votes failed: " if wanted > 1 else ""
                error = f"judge: {few}{problems[-1]}"
                return [_score(rubric, criterion, error=error) for criterion in criteria]
        return [
            _voted(rubric, criterion, [answer[criterion.name] for answer in answers])
            for criterion in criteria
        ]

    def _vote(
        self,
        rubric: Rubric,
        criteria: Sequence[Criterion],
        vote: int,
        input: Any,  # noqa: A002
        output: Any,
        reference: Any,
        sample: int,
    ) -> Answers:
        request = build_request(
            rubric,
            criteria,
            model=self.model,
            max_tokens=self.max_tokens,
            input=input,
            output=output,
            reference=reference,
        )
        key = AnswerKey(
            model=self.model,
            rubric=rubric.sha256,
            content=content_hash(request.system, input, output, reference),
            order="\n".join(criterion.name for criterion in criteria),
            vote=vote,
            sample=sample,
        )
        read = self.asker.ask(request, key, lambda data: read_answer(data, criteria))
        return {criterion.name: answer for criterion, answer in zip(criteria, read, strict=True)}


def _rotated(criteria: Sequence[Criterion], by: int) -> list[Criterion]:
    start = by % len(criteria)
    return [*criteria[start:], *criteria[:start]]


def _voted(rubric: Rubric, criterion: Criterion, answers: Sequence[tuple[float, str]]) -> Score:
    """Make one score of all votes; its reason is that of the vote nearest to the mean."""
    values = [value for value, _ in answers]
    mean = math.fsum(values) / len(values)
    _, reason = min(answers, key=lambda answer: abs(answer[0] - mean))
    return _score(rubric, criterion, value=mean, reason=reason, votes=values if len(values) > 1 else None)


def _score(
    rubric: Rubric,
    criterion: Criterion,
    *,
    value: float | None = None,
    reason: str | None = None,
    error: str | None = None,
    votes: list[float] | None = None,
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
        votes=votes,
    )
