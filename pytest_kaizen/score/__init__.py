"""Scores: rubrics, deterministic checks and the judge."""

from .checks import CHECKS, Check, CheckResult
from .judge import Judge
from .rubric import Criterion, Rubric, load_rubric
from .scale import IntegerScale, Scale, YesNo
from .scoring import score_rubric
from .verdict import Verdict

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Criterion",
    "IntegerScale",
    "Judge",
    "Rubric",
    "Scale",
    "Verdict",
    "YesNo",
    "load_rubric",
    "score_rubric",
]
