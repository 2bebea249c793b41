"""Scoring one output by one rubric, and the verdict that a test gets of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import ScoreError
from ..models import Score, ScoreSource
from .check import Check
from .judge import Judge
from .rubric import Criterion, Rubric


class Verdict:
    """The scores of one output by one rubric.

    Args:
        scores: The criteria's scores, then the total, as ``score_rubric`` returns them.

    Attributes:
        scores: All of them.
        criteria: The criteria's scores by the criterion's own name (``faithful``).
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        self.scores = list(scores)
        *criteria, self._total = self.scores
        prefix = f"{self._total.name}."
        self.criteria = {score.name.removeprefix(prefix): score for score in criteria}

    @property
    def score(self) -> float:
        """The rubric's total, in [0, 1].

        Raises:
            ScoreError: A criterion could not be scored, so there is no total.
        """
        if self._total.value is None:
            raise ScoreError(f"{self._total.name}: {self._total.error}")
        return self._total.value

    def passed(self, min: float) -> bool:  # noqa: A002
        """Return whether the total reaches a bar.

        Raises:
            ScoreError: There is no total.
        """
        return self.score >= min

    def __repr__(self) -> str:
        return f"<Verdict {_line(self._total)}>"

    def __str__(self) -> str:
        lines = [_line(self._total)]
        lines += [f"  {_line(score, name)}" for name, score in self.criteria.items()]
        return "\n".join(lines)


def _line(score: Score, name: str | None = None) -> str:
    head = score.name if name is None else name
    if score.value is None:
        return f"{head}: error: {score.error}"
    # The total's reason lists the criteria, which have lines of their own.
    return f"{head}: {score.value:.2f}{score.votes_text}" + (
        f" ({score.reason})" if score.reason and name is not None else ""
    )


def score_rubric(
    rubric: Rubric,
    *,
    input: Any,  # noqa: A002
    output: Any,
    reference: Any,
    judge: Judge | None,
    sample: int = 0,
) -> list[Score]:
    """Score an output by every criterion of a rubric.

    Args:
        rubric: The rubric.
        input: What the program was given; None when unknown.
        output: What it answered. None is no output: every score is then an error, and nothing is
            asked of the judge.
        reference: A good answer; None when there is none.
        judge: Who answers the criteria without a check.
        sample: The number of the sample that the output is from.

    Returns:
        A score per criterion, in the rubric's order, named ``summary.faithful``; then the weighted
        mean under the rubric's name. A criterion that could not be scored is an error and makes
        the total one, because a mean over the others would claim more than is known.
    """
    if output is None:
        reason = "there is no output to score: nothing was captured, and kaizen.case gave none"
        scores = [_failed(rubric, criterion, reason) for criterion in rubric.criteria]
        return [*scores, _total(rubric, scores)]
    if judge is not None:
        judged = judge.judge(
            rubric, rubric.judged, input=input, output=output, reference=reference, sample=sample
        )
    else:
        judged = [_failed(rubric, criterion, "no judge was given") for criterion in rubric.judged]
    answers = iter(judged)
    scores = [
        next(answers)
        if criterion.check is None
        else _checked(rubric, criterion, criterion.check, input=input, output=output, reference=reference)
        for criterion in rubric.criteria
    ]
    return [*scores, _total(rubric, scores)]


def _checked(
    rubric: Rubric,
    criterion: Criterion,
    check: Check,
    *,
    input: Any,  # noqa: A002
    output: Any,
    reference: Any,
) -> Score:
    try:
        value, reason = check.run(output, input=input, reference=reference)
    except ScoreError as exc:
        return _failed(rubric, criterion, str(exc))
    except Exception as exc:
        # An odd output must not break the test that produced it.
        return _failed(rubric, criterion, f"the check broke: {type(exc).__name__}: {exc}")
    return Score(
        name=f"{rubric.name}.{criterion.name}",
        value=value,
        source=ScoreSource.CHECK,
        reason=reason,
        expected=criterion.expected,
        rubric=rubric.name,
        weight=criterion.weight,
    )


def _failed(rubric: Rubric, criterion: Criterion, reason: str) -> Score:
    return Score(
        name=f"{rubric.name}.{criterion.name}",
        source=ScoreSource.JUDGE if criterion.check is None else ScoreSource.CHECK,
        expected=criterion.expected,
        error=reason,
        rubric=rubric.name,
        weight=criterion.weight,
    )


def _total(rubric: Rubric, scores: list[Score]) -> Score:
    value: float | None = None
    reason = error = None
    failed = [score for score in scores if score.error is not None]
    if failed:
        error = "not scored: " + "; ".join(f"{score.name}: {score.error}" for score in failed)
    else:
        # Weights such as thirds leave a mean of ones a last place beside 1, where a bar may stand.
        value = round(math.fsum((score.weight or 0) * (score.value or 0) for score in scores), 12)
        reason = ", ".join(f"{score.name} {score.value:.2f}" for score in scores)
    return Score(
        name=rubric.name,
        value=value,
        source=ScoreSource.JUDGE if rubric.judged else ScoreSource.CHECK,
        reason=reason,
        expected=rubric.description or None,
        error=error,
        rubric=rubric.name,
    )
