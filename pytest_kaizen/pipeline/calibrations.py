"""What is known of a run's judge: read from the store once per rubric, and told in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config import JudgeConfig
from ..errors import StoreError
from ..store import Store

if TYPE_CHECKING:
    from ..models import Calibration
    from ..score import Rubric


class Calibrations:
    """The stored calibrations, for the judge of this run.

    Args:
        store: Where they are.
        judge: The judge's model and votes.
    """

    def __init__(self, store: Store, judge: JudgeConfig) -> None:
        self._store = store
        self._judge = judge
        self._known: dict[str, list[Calibration]] = {}

    def refusal(self, rubric: Rubric) -> str | None:
        """Say why the judge must not be trusted with a rubric; None when it may be."""
        if rubric.min_kappa is None:
            return None
        # Not above: a suite without a judge need not wait for it.
        from ..score import refusal

        try:
            return refusal(rubric, self._judge.model, self._votes(rubric), self._of(rubric))
        except StoreError as exc:
            return f"the judge's calibration could not be read: {exc}"

    def line(self, rubric: Rubric) -> str | None:
        """Say for the report how far the judge is to be trusted; None when nobody asked or measured."""
        found = self._find(rubric)
        if found is None:
            reason = self.refusal(rubric)
            return None if reason is None else f"rubric {rubric.name}: {reason}"
        weakest = found.weakest
        where = f" on '{weakest.name}'" if len(found.criteria) > 1 else ""
        low = rubric.min_kappa is not None and (weakest.kappa is None or weakest.kappa < rubric.min_kappa)
        demanded = f", below min_kappa {rubric.min_kappa:g}" if low else ""
        return (
            f"rubric {rubric.name}: judge {found.model} {weakest.kappa_text}{where} over "
            f"{found.labels} labels{demanded}"
        )

    def correction(self, rubric: Rubric, means: Sequence[float]) -> str | None:
        """Give the mean of a task corrected for the judge's errors; None without a calibration.

        Args:
            rubric: What was judged by.
            means: The rubric's score of each case.
        """
        found = self._find(rubric)
        if found is None or not means:
            return None
        from ..score import corrected_mean

        mean, interval = corrected_mean(means, found.pairs)
        return (
            f"{rubric.name} {sum(means) / len(means):.2f}, corrected for the judge's errors {mean:.2f} "
            f"[{interval.low:.2f}, {interval.high:.2f}] ({found.labels} labels)"
        )

    def _find(self, rubric: Rubric) -> Calibration | None:
        if not rubric.judged:
            return None
        from ..score import calibration_of

        try:
            return calibration_of(rubric, self._judge.model, self._votes(rubric), self._of(rubric))
        except StoreError:
            return None

    def _votes(self, rubric: Rubric) -> int:
        return rubric.votes or self._judge.votes

    def _of(self, rubric: Rubric) -> list[Calibration]:
        if rubric.name not in self._known:
            self._known[rubric.name] = self._store.calibrations(rubric.name)
        return self._known[rubric.name]
