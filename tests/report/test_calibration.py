"""Calibrations as text, and README's example of one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_kaizen.config import JudgeConfig
from pytest_kaizen.models import Calibration, Pair
from pytest_kaizen.pipeline import Calibrations
from pytest_kaizen.report.listing import calibration_text, calibrations_table
from pytest_kaizen.score import YesNo, agreement, load_rubric
from pytest_kaizen.store import Store

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COUNTS = {(0.0, 0.0): 26, (0.0, 1.0): 9, (1.0, 0.0): 3, (1.0, 1.0): 82}
RUBRIC = """\
name: summary
criteria:
  - {name: faithful, description: States only what the ticket says., weight: 0.7}
  - {name: short, weight: 0.3, check: {max_length: 300}}
"""


def calibration(sha256: str) -> Calibration:
    pairs: list[Pair] = [pair for pair, count in COUNTS.items() for _ in range(count)]
    return Calibration(
        rubric="summary",
        rubric_sha256=sha256,
        model="claude-haiku-4-5",
        votes=1,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        labels=len(pairs),
        criteria=[agreement("faithful", pairs, YesNo())],
        pairs=[(0.3 + 0.7 * human, 0.3 + 0.7 * judge) for human, judge in pairs],
    )


def block(first: str) -> list[str]:
    found = re.search(rf"^```\n({re.escape(first)}.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return [line.rstrip() for line in found[1].splitlines()]


def test_readme_shows_what_is_printed() -> None:
    shown = block("$ kaizen judge calibrate")
    text = calibration_text(calibration("1b5b26a1aeb9" + "0" * 52))
    assert [line.rstrip() for line in text.splitlines()] == shown[1:]


def test_readme_shows_what_the_report_says(tmp_path: Path) -> None:
    path = tmp_path / "summary.yaml"
    path.write_text(RUBRIC)
    rubric = load_rubric(path)
    with Store.open(tmp_path / "kaizen.db") as store:
        store.save_calibration(calibration(rubric.sha256))
        known = Calibrations(store, JudgeConfig())
        correction = known.correction(rubric, [1.0] * 57 + [0.3] * 3)
        assert block("rubric summary:") == [known.line(rubric), f"summarize_ticket: {correction}"]


@pytest.mark.parametrize(("votes", "text"), [(1, "1 vote, 120 labels"), (3, "3 votes, 120 labels")])
def test_heading(votes: int, text: str) -> None:
    found = calibration("0" * 64).model_copy(update={"votes": votes})
    assert calibration_text(found).splitlines()[0].endswith(f"judge claude-haiku-4-5, {text}")


def test_a_model_cannot_write_to_the_terminal() -> None:
    found = calibration("0" * 64).model_copy(update={"model": "m\x1b[31m"})
    assert "\x1b" not in calibration_text(found) + calibrations_table([found])
