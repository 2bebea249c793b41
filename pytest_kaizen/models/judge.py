"""What is known of a judge: the answers it gave, and how well it agrees with people."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel

from .gate import Interval

#: What a person and the judge made of the same output, both in [0, 1]: (person, judge).
Pair = tuple[float, float]


class AnswerKey(NamedTuple):
    """What makes two questions to a judge the same question.

    Attributes:
        model: The judge's model.
        rubric: The SHA-256 of the rubric, in hex.
        content: The SHA-256 of the judge's instructions and of input, output and reference, in hex.
        order: The criteria, in the order they are asked about, parted by line feeds.
        vote: The number of the vote, from 0: k votes are k answers, not one answer k times.
        sample: The number of the sample, from 0: equal replies of one run are judged one by one.
    """

    model: str
    rubric: str
    content: str
    order: str
    vote: int = 0
    sample: int = 0


class Agreement(BaseModel, defer_build=True):
    """How far a judge agrees with people on one criterion, or on the whole.

    Attributes:
        name: The criterion; ``score`` for people's scores of the whole.
        accuracy: The share of outputs on which both give the same answer.
        kappa: Cohen's kappa, 1 for full agreement, 0 for as much as chance gives; None when all
            answers are one and the same, so that there is nothing to agree about.
        bias: The judge's mean minus people's, in [-1, 1]: above 0 the judge is too kind.
        answers: The answers that occur, worst first.
        confusion: How often each pair of answers occurs: a row per answer of people, in it a
            column per answer of the judge.
    """

    name: str
    accuracy: float
    accuracy_interval: Interval
    kappa: float | None
    kappa_interval: Interval | None
    bias: float
    bias_interval: Interval
    answers: list[str]
    confusion: list[list[int]]

    @property
    def kappa_text(self) -> str:
        """The figure as reports print it: ``kappa 0.71 [0.60, 0.82]``."""
        if self.kappa is None or self.kappa_interval is None:
            return "kappa not defined (all answers are the same)"
        low, high = self.kappa_interval
        return f"kappa {self.kappa:.2f} [{low:.2f}, {high:.2f}]"


class Calibration(BaseModel, defer_build=True):
    """One measurement of a judge against labels that people gave.

    It holds for that judge alone: the same model, votes and text of the rubric.

    Attributes:
        rubric_sha256: Of the rubric, in hex.
        labels: How many outputs were labelled.
        criteria: The agreement on each judged criterion, or on the whole.
        pairs: People's and the judge's scores of the whole rubric, one pair an output.
    """

    rubric: str
    rubric_sha256: str
    model: str
    votes: int
    created_at: datetime
    labels: int
    criteria: list[Agreement]
    pairs: list[Pair]

    @property
    def weakest(self) -> Agreement:
        """The criterion that the judge agrees on least; a rubric is trusted no further than that."""
        return min(self.criteria, key=lambda agreement: -2.0 if agreement.kappa is None else agreement.kappa)
