"""Calibration → text, for ``kaizen judge calibrate``."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Agreement, Calibration, Interval
from .table import table
from .text import safe_text


def calibration_text(calibration: Calibration) -> str:
    """Show how far a judge agrees with people: the figures with 95 % intervals, then who said what."""
    votes = f"{calibration.votes} vote{'s' * (calibration.votes != 1)}"
    labels = f"{calibration.labels} label{'s' * (calibration.labels != 1)}"
    parts = [
        f"rubric {calibration.rubric} ({calibration.rubric_sha256[:12]}), judge {calibration.model}, "
        f"{votes}, {labels}",
        table(("criterion", "accuracy", "kappa", "bias"), [_row(found) for found in calibration.criteria]),
    ]
    parts += [
        f"{found.name}: people's answers down, the judge's across\n{_confusion(found)}"
        for found in calibration.criteria
    ]
    return safe_text("\n\n".join(parts))


def calibrations_table(calibrations: Sequence[Calibration]) -> str:
    """List calibrations, one a line, each with the criterion that the judge agrees on least."""
    if not calibrations:
        return "no calibrations yet; make one: `kaizen judge calibrate LABELS.CSV --rubric RUBRIC`"
    rows = [
        (
            found.rubric,
            found.rubric_sha256[:12],
            found.model,
            found.votes,
            found.labels,
            found.weakest.name,
            found.weakest.kappa_text.removeprefix("kappa "),
            f"{found.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for found in calibrations
    ]
    headers = ("rubric", "sha256", "judge", "votes", "labels", "weakest", "kappa", "created")
    return safe_text(table(headers, rows))


def _row(found: Agreement) -> tuple[str, ...]:
    return (
        found.name,
        _with_interval(f"{found.accuracy:.2f}", found.accuracy_interval),
        found.kappa_text.removeprefix("kappa "),
        _with_interval(f"{found.bias:+.2f}", found.bias_interval),
    )


def _with_interval(figure: str, interval: Interval) -> str:
    return f"{figure} [{interval.low:.2f}, {interval.high:.2f}]"


def _confusion(found: Agreement) -> str:
    rows = [(answer, *counts) for answer, counts in zip(found.answers, found.confusion, strict=True)]
    return table(("", *found.answers), rows)
