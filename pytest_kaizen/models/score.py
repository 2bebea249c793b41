"""Scores: named numbers on a trace."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field, model_validator


class ScoreSource(StrEnum):
    """Who gave a score."""

    CHECK = "check"
    JUDGE = "judge"
    HUMAN = "human"
    SDK = "sdk"


class Score(BaseModel):
    """A named number in [0, 1] on a trace, or the error of a scorer that could give none.

    Attributes:
        name: ``names the product``; ``summary.faithful`` for a criterion, ``summary`` for a
            rubric's weighted total.
        value: None exactly when ``error`` is set.
        reason: Why, in the scorer's words.
        expected: What the scorer looked for, where it can say.
        rubric: The rubric that the score belongs to.
        votes: The single answers of a judge that was asked more than once.
    """

    name: str
    value: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    source: ScoreSource
    reason: str | None = None
    expected: str | None = None
    error: str | None = None
    rubric: str | None = None
    weight: float | None = None
    votes: list[float] | None = None

    @model_validator(mode="after")
    def _value_or_error(self) -> Score:
        if (self.value is None) == (self.error is None):
            raise ValueError("a score has either a value or an error")
        return self

    @property
    def votes_text(self) -> str:
        """The spread of a judge's votes, for reports: `` (3 votes, 0.00 to 1.00)``; else empty."""
        if not self.votes:
            return ""
        return f" ({len(self.votes)} votes, {min(self.votes):.2f} to {max(self.votes):.2f})"

    @property
    def is_criterion(self) -> bool:
        """Whether this is one criterion of a rubric, which counts through the rubric's total."""
        return self.rubric is not None and self.name != self.rubric
