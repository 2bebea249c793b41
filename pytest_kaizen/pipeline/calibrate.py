"""Labels → calibration: the judge answers what people have answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ScoreError
from ..models import Agreement, Calibration, Pair, Score
from ..score import WHOLE, Judge, Labelled, Rubric, agreement, score_rubric

#: Outputs judged at the same time.
_THREADS = 8


def calibrate(rubric: Rubric, labelled: Sequence[Labelled], judge: Judge, path: Path) -> Calibration:
    """Measure a judge against labels.

    Args:
        rubric: What is judged by.
        labelled: What people said; at least one.
        judge: The judge.
        path: The file of the labels, for messages.

    Raises:
        ScoreError: The judge or a check failed on an output; names its line.
    """
    pool = ThreadPoolExecutor(_THREADS)
    try:
        scores = list(pool.map(lambda item: _scores(rubric, item, judge, path), labelled))
    finally:
        # After a failure the others would fail too, and cost: what has not begun never does.
        pool.shutdown(cancel_futures=True)
    pairs = [_whole(rubric, item, found) for item, found in zip(labelled, scores, strict=True)]
    return Calibration(
        rubric=rubric.name,
        rubric_sha256=rubric.sha256,
        model=judge.model,
        votes=judge.votes(rubric),
        created_at=datetime.now(UTC),
        labels=len(labelled),
        criteria=_agreements(rubric, labelled, scores, pairs),
        pairs=pairs,
    )


def _scores(rubric: Rubric, item: Labelled, judge: Judge, path: Path) -> dict[str, Score]:
    found = score_rubric(rubric, input=item.input, output=item.output, reference=item.reference, judge=judge)
    failed = next((score for score in found if score.error is not None), None)
    if failed is not None:
        raise ScoreError(
            f"{path}:{item.line}: {failed.name}: {failed.error}; no calibration was stored. Run it again, "
            "or take the line out: answers that were given are kept"
        )
    return {score.name: score for score in found}


def _whole(rubric: Rubric, item: Labelled, scores: dict[str, Score]) -> Pair:
    """Give the whole by the person and by the judge; checks say the same of both."""
    judge = scores[rubric.name].value or 0.0
    if WHOLE in item.values and WHOLE not in {criterion.name for criterion in rubric.judged}:
        return item.values[WHOLE], judge
    parts = [
        criterion.weight * item.values.get(criterion.name, _value(rubric, criterion.name, scores))
        for criterion in rubric.criteria
    ]
    return round(math.fsum(parts), 12), judge


def _agreements(
    rubric: Rubric,
    labelled: Sequence[Labelled],
    scores: Sequence[dict[str, Score]],
    pairs: Sequence[Pair],
) -> list[Agreement]:
    named = [criterion for criterion in rubric.judged if criterion.name in labelled[0].values]
    if not named:
        return [agreement(WHOLE, pairs, None)]
    return [
        agreement(
            criterion.name,
            [
                (item.values[criterion.name], _value(rubric, criterion.name, found))
                for item, found in zip(labelled, scores, strict=True)
            ],
            criterion.scale,
        )
        for criterion in named
    ]


def _value(rubric: Rubric, criterion: str, scores: dict[str, Score]) -> float:
    return scores[f"{rubric.name}.{criterion}"].value or 0.0
