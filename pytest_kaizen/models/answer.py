"""Answers of a judge, kept so that the same question is not paid for twice."""

from __future__ import annotations

from typing import NamedTuple


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
