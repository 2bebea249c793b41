"""Scores: rubrics, deterministic checks and the judge.

The names are resolved when they are first used (PEP 562): a suite without rubrics needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
    from .asking import AnswerCache, addresses_judge, compared_words, same_replies
    from .calibration import WHOLE, Labelled, agreement, calibration_of, corrected_mean, read_labels, refusal
    from .check import Check, CheckResult
    from .checks import CHECKS
    from .judge import Comparison, Judge, compare_outputs
    from .rubric import Criterion, IntegerScale, Rubric, Scale, YesNo, load_rubric, parse_rubric
    from .scoring import Verdict, score_rubric
else:
    __getattr__ = Late(
        __name__,
        {
            "CHECKS": "checks",
            "WHOLE": "calibration",
            "AnswerCache": "asking",
            "Check": "check",
            "CheckResult": "check",
            "Comparison": "judge",
            "Criterion": "rubric",
            "IntegerScale": "rubric",
            "Judge": "judge",
            "Labelled": "calibration",
            "Rubric": "rubric",
            "Scale": "rubric",
            "Verdict": "scoring",
            "YesNo": "rubric",
            "addresses_judge": "asking",
            "agreement": "calibration",
            "calibration_of": "calibration",
            "compare_outputs": "judge",
            "compared_words": "asking",
            "corrected_mean": "calibration",
            "load_rubric": "rubric",
            "parse_rubric": "rubric",
            "read_labels": "calibration",
            "refusal": "calibration",
            "same_replies": "asking",
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
