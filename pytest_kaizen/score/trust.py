"""Whether a judge may be trusted with a rubric: its calibration, and what the rubric demands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..models import Calibration
from .rubric import Rubric


def calibration_of(
    rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]
) -> Calibration | None:
    """Find the calibration that holds for a judge: the same text of the rubric, model and votes.

    Args:
        rubric: What is judged by.
        model: The judge's model.
        votes: How often it judges each output.
        calibrations: Those of the rubric's name, the newest first.
    """
    wanted = (rubric.sha256, model, votes)
    return next((c for c in calibrations if (c.rubric_sha256, c.model, c.votes) == wanted), None)


def refusal(rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]) -> str | None:
    """Say why a judge does not reach a rubric's ``min_kappa``, and what to do; None when it does.

    The kappa that counts is that of the criterion on which the judge agrees with people least.
    """
    if rubric.min_kappa is None:
        return None
    here = Path.cwd()
    path = rubric.path.relative_to(here) if rubric.path.is_relative_to(here) else rubric.path
    cure = f"`kaizen judge calibrate labels.csv --rubric {path}`"
    found = calibration_of(rubric, model, votes, calibrations)
    if found is None:
        why = _why_not(rubric, model, votes, calibrations)
        return f"min_kappa {rubric.min_kappa:g} is demanded, but {why}; run {cure}"
    weakest = found.weakest
    if weakest.kappa is not None and weakest.kappa >= rubric.min_kappa:
        return None
    return (
        f"min_kappa {rubric.min_kappa:g} is demanded, but judge {model} has "
        f"{weakest.kappa_text} on '{weakest.name}' over {found.labels} labels; word the criterion more "
        f"clearly or take another model, then run {cure}"
    )


def _why_not(rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]) -> str:
    if not calibrations:
        return f"judge {model} was never calibrated"
    of_text = [c for c in calibrations if c.rubric_sha256 == rubric.sha256]
    if not of_text:
        return f"the calibration of {calibrations[0].created_at:%Y-%m-%d} is for another text of the rubric"
    of_model = [c for c in of_text if c.model == model]
    if not of_model:
        return f"the calibration of {of_text[0].created_at:%Y-%m-%d} is for {of_text[0].model}, not {model}"
    return f"judge {model} was calibrated with votes: {of_model[0].votes}, not {votes}"
