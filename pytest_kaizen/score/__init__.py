"""Scores: rubrics, deterministic checks and the judge."""

from .asking import AnswerCache
from .calibration import WHOLE, agreement, corrected_mean
from .checks import CHECKS, Check, CheckResult
from .judge import Judge
from .labels import Labelled, read_labels
from .pairwise import Comparison, compare_outputs
from .rubric import Criterion, Rubric, load_rubric, parse_rubric
from .scale import IntegerScale, Scale, YesNo
from .scoring import score_rubric
from .suspicion import addresses_judge, compared_words, same_replies
from .trust import calibration_of, refusal
from .verdict import Verdict

__all__ = [
    "CHECKS",
    "WHOLE",
    "AnswerCache",
    "Check",
    "CheckResult",
    "Comparison",
    "Criterion",
    "IntegerScale",
    "Judge",
    "Labelled",
    "Rubric",
    "Scale",
    "Verdict",
    "YesNo",
    "addresses_judge",
    "agreement",
    "calibration_of",
    "compare_outputs",
    "compared_words",
    "corrected_mean",
    "load_rubric",
    "parse_rubric",
    "read_labels",
    "refusal",
    "same_replies",
    "score_rubric",
]
