"""What ``kaizen.judge`` gives back to a test."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ScoreError
from ..models import Score


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
