from __future__ import annotations

import pytest

from pytest_kaizen.errors import ScoreError
from pytest_kaizen.models import Score, ScoreSource
from pytest_kaizen.score import Verdict


def score(
    name: str, value: float | None = None, *, reason: str | None = None, error: str | None = None
) -> Score:
    return Score(
        name=name, value=value, source=ScoreSource.JUDGE, reason=reason, error=error, rubric="summary"
    )


GOOD = [
    score("summary.faithful", 1.0, reason="all there"),
    score("summary.tone", 0.5),
    score("summary", 0.75, reason="summary.faithful 1.00, summary.tone 0.50"),
]
BROKEN = [
    score("summary.faithful", error="judge: m: HTTP 500"),
    score("summary", error="not scored: summary.faithful: judge: m: HTTP 500"),
]


def test_a_verdict_has_the_total_and_the_criteria() -> None:
    verdict = Verdict(GOOD)
    assert verdict.score == 0.75
    assert verdict.scores == GOOD
    assert verdict.criteria == {"faithful": GOOD[0], "tone": GOOD[1]}
    assert verdict.passed(0.75) is True
    assert verdict.passed(0.76) is False


def test_it_reads_well() -> None:
    assert str(Verdict(GOOD)) == "summary: 0.75\n  faithful: 1.00 (all there)\n  tone: 0.50"
    assert repr(Verdict(GOOD)) == "<Verdict summary: 0.75>"
    assert str(Verdict(BROKEN)) == (
        "summary: error: not scored: summary.faithful: judge: m: HTTP 500\n"
        "  faithful: error: judge: m: HTTP 500"
    )


def test_a_verdict_with_an_error_neither_passes_nor_fails() -> None:
    verdict = Verdict(BROKEN)
    message = "^summary: not scored: summary.faithful: judge: m: HTTP 500$"
    with pytest.raises(ScoreError, match=message):
        _ = verdict.score
    with pytest.raises(ScoreError, match=message):
        verdict.passed(0.0)
