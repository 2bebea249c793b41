"""Scores: rubrics, deterministic checks and the judge.

The names are resolved when they are first used (PEP 562): a suite without rubrics needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
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
else:
    __getattr__ = Late(
        __name__,
        {
            "CHECKS": "checks",
            "WHOLE": "calibration",
            "AnswerCache": "asking",
            "Check": "checks",
            "CheckResult": "checks",
            "Comparison": "pairwise",
            "Criterion": "rubric",
            "IntegerScale": "scale",
            "Judge": "judge",
            "Labelled": "labels",
            "Rubric": "rubric",
            "Scale": "scale",
            "Verdict": "verdict",
            "YesNo": "scale",
            "addresses_judge": "suspicion",
            "agreement": "calibration",
            "calibration_of": "trust",
            "compare_outputs": "pairwise",
            "compared_words": "suspicion",
            "corrected_mean": "calibration",
            "load_rubric": "rubric",
            "parse_rubric": "rubric",
            "read_labels": "labels",
            "refusal": "trust",
            "same_replies": "suspicion",
            "score_rubric": "scoring",
        },
    )

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
