"""What a calibration does to a run: trust, or none, and a corrected mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anthropic  # noqa: F401 - imported once, not by every run
import pytest

from pytest_kaizen.models import Calibration
from pytest_kaizen.score import YesNo, agreement, load_rubric
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

RUBRIC = """
name: summary
min_kappa: 0.6
criteria:
  - {name: faithful, description: Says nothing that the input does not say.}
"""
TEST = """
    import pytest

    @pytest.mark.kaizen("sum")
    @pytest.mark.kaizen_rubric("rubric.yaml", min=0.8)
    def test_it(ask):
        ask("long text")
"""
# The judge is too kind to a tenth.
PAIRS = [(1.0, 1.0)] * 60 + [(0.0, 0.0)] * 30 + [(0.0, 1.0)] * 10


@pytest.fixture
def judged(suite: Suite) -> Suite:
    suite.write(RUBRIC, "rubric.yaml")
    suite.write(TEST)
    answer = {"faithful": {"reason": "fine", "score": "yes"}}
    suite.llm.reply(json=answer, when=lambda request: request.schema is not None)
    return suite


def calibrate(suite: Suite, pairs: list[tuple[float, float]] = PAIRS, **fields: Any) -> None:
    rubric = load_rubric(suite.root / "rubric.yaml")
    given: dict[str, Any] = {
        "rubric": rubric.name,
        "rubric_sha256": rubric.sha256,
        "model": "claude-haiku-4-5",
        "votes": 1,
        "created_at": datetime.now(UTC),
        "labels": len(pairs),
        "criteria": [agreement("faithful", pairs, YesNo())],
        "pairs": pairs,
    }
    with Store.open(suite.database) as store:
        store.save_calibration(Calibration(**{**given, **fields}))


def test_a_judge_without_calibration_does_not_gate(judged: Suite) -> None:
    judged.run(failed=1, code=1)
    error = (
        "min_kappa 0.6 is demanded, but judge claude-haiku-4-5 was never calibrated; "
        "run `kaizen judge calibrate labels.csv --rubric rubric.yaml`"
    )
    scores = {score.name: score for score in judged.trace.scores}
    assert scores["summary.faithful"].error == error
    assert scores["summary"].value is None
    assert len(judged.llm.requests) == 1
    judged.result.stdout.fnmatch_lines([f"rubric summary: {error}"])


def test_a_good_judge_gates_and_the_report_says_how_good(judged: Suite) -> None:
    calibrate(judged)
    judged.run(passed=1, code=0)
    judged.result.stdout.fnmatch_lines(
        [
            "rubric summary: judge claude-haiku-4-5 kappa 0.78 [[]0.62, 0.88[]] over 100 labels",
            "sum: summary 1.00, corrected for the judge's errors 0.90 [[]0.36, 1.00[]] (100 labels)",
        ]
    )
    assert len(judged.stored_run.notes) == 2


def test_a_poor_judge_is_named_with_its_figure(judged: Suite) -> None:
    calibrate(judged, [(1.0, 1.0), (0.0, 0.0), (0.0, 1.0)] * 4)
    judged.run(failed=1, code=1)
    judged.result.stdout.fnmatch_lines(
        [
            "rubric summary: judge claude-haiku-4-5 kappa 0.40 [[]-0.10, 0.75[]] over 12 labels, "
            "below min_kappa 0.6"
        ]
    )
    assert "corrected" not in judged.text


@pytest.mark.parametrize("other", [{"model": "another-model"}, {"rubric_sha256": "0"}, {"votes": 3}])
def test_a_calibration_of_another_judge_does_not_count(judged: Suite, other: dict[str, Any]) -> None:
    calibrate(judged, **other)
    judged.run(failed=1, code=1)
    assert "min_kappa 0.6 is demanded, but " in judged.text


def test_a_rubric_that_demands_nothing_is_told_only_what_was_measured(judged: Suite) -> None:
    judged.write(RUBRIC.replace("min_kappa: 0.6\n", ""), "rubric.yaml")
    judged.run(passed=1, code=0)
    assert "rubric summary:" not in judged.text
    calibrate(judged)
    judged.run(passed=1, code=0)
    assert "rubric summary: judge claude-haiku-4-5 kappa 0.78" in judged.text
