from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import RubricError
from pytest_kaizen.models import Calibration
from pytest_kaizen.score import Judge, Rubric, YesNo, agreement, calibration_of, refusal

RUBRIC = """\
name: summary
min_kappa: 0.6
criteria:
  - {name: faithful, description: States only what is there.}
  - {name: short, description: Is short.}
"""
GOOD = [(1.0, 1.0), (0.0, 0.0)] * 10
POOR = [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0)] * 4
SAME = [(1.0, 1.0)] * 10

LoadRubric = Callable[[str], Rubric]


@pytest.fixture
def demanding(rubric: LoadRubric, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rubric:
    monkeypatch.chdir(tmp_path)
    return rubric(RUBRIC)


def calibration(rubric: Rubric, short: list[tuple[float, float]] = GOOD, **fields: Any) -> Calibration:
    given: dict[str, Any] = {
        "rubric": rubric.name,
        "rubric_sha256": rubric.sha256,
        "model": "m",
        "votes": 1,
        "created_at": datetime(2026, 3, 1, tzinfo=UTC),
        "labels": len(short),
        "criteria": [agreement("faithful", GOOD, YesNo()), agreement("short", short, YesNo())],
        "pairs": short,
    }
    return Calibration(**{**given, **fields})


CURE = "run `kaizen judge calibrate labels.csv --rubric rubric.yaml`"


def test_a_good_judge_is_trusted(demanding: Rubric) -> None:
    assert refusal(demanding, "m", 1, [calibration(demanding)]) is None


def test_a_rubric_that_demands_nothing(rubric: LoadRubric) -> None:
    assert refusal(rubric(RUBRIC.replace("min_kappa: 0.6\n", "")), "m", 1, []) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (None, f"min_kappa 0.6 is demanded, but judge m was never calibrated; {CURE}"),
        (
            {"rubric_sha256": "0" * 64},
            "min_kappa 0.6 is demanded, but the calibration of 2026-03-01 is for another text of the "
            f"rubric; {CURE}",
        ),
        (
            {"model": "n"},
            f"min_kappa 0.6 is demanded, but the calibration of 2026-03-01 is for n, not m; {CURE}",
        ),
        ({"votes": 3}, f"min_kappa 0.6 is demanded, but judge m was calibrated with votes: 3, not 1; {CURE}"),
        (
            {"short": POOR},
            "min_kappa 0.6 is demanded, but judge m has kappa 0.40 [-0.10, 0.75] on 'short' over 12 labels; "
            f"word the criterion more clearly or take another model, then {CURE}",
        ),
        (
            {"short": SAME},
            "min_kappa 0.6 is demanded, but judge m has kappa not defined (all answers are the same) on "
            f"'short' over 10 labels; word the criterion more clearly or take another model, then {CURE}",
        ),
    ],
)
def test_reasons(demanding: Rubric, fields: dict[str, Any] | None, reason: str) -> None:
    known = [] if fields is None else [calibration(demanding, **fields)]
    assert refusal(demanding, "m", 1, known) == reason


def test_the_newest_counts(demanding: Rubric) -> None:
    good, poor = calibration(demanding), calibration(demanding, POOR)
    assert refusal(demanding, "m", 1, [good, poor]) is None
    assert refusal(demanding, "m", 1, [poor, good]) is not None
    other = calibration(demanding, model="n")
    assert calibration_of(demanding, "m", 1, [other, good, poor]) is good


def test_min_kappa_is_no_other_rubric(rubric: LoadRubric) -> None:
    assert rubric(RUBRIC).sha256 == rubric(RUBRIC.replace("0.6", "0.9")).sha256


def test_a_judge_that_is_refused_is_not_asked(demanding: Rubric, fake_llm: Callable[..., Any]) -> None:
    judge = Judge(fake_llm(), "m", refusal=lambda rubric: f"not for {rubric.name}")
    scores = judge.judge(demanding, demanding.judged, input="i", output="o", reference=None)
    assert [(score.value, score.error) for score in scores] == [(None, "not for summary")] * 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (RUBRIC.replace("0.6", "1.1"), "min_kappa: "),
        (RUBRIC.replace("0.6", "0"), "min_kappa: "),
        (
            "name: a\nmin_kappa: 0.5\ncriteria: [{name: short, check: {max_length: 9}}]",
            "min_kappa: no criterion is judged by a model; remove it",
        ),
    ],
)
def test_a_min_kappa_that_is_none(rubric: LoadRubric, text: str, problem: str) -> None:
    with pytest.raises(RubricError, match=rf"rubric\.yaml:2: {problem}"):
        rubric(text)
