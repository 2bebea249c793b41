"""The order of things: a sample, a case, a run."""

from .answers import StoredAnswers
from .calibrate import calibrate
from .calibrations import Calibrations
from .live import Content, LiveSample, current, current_sample
from .plan import NO_TASK, CasePlan, PromptRule
from .redacted import RedactedEvaluator
from .run import RunBook
from .sample import Scorer, Scoring
from .verdicts import case_verdicts, failure_text

__all__ = [
    "NO_TASK",
    "Calibrations",
    "CasePlan",
    "Content",
    "LiveSample",
    "PromptRule",
    "RedactedEvaluator",
    "RunBook",
    "Scorer",
    "Scoring",
    "StoredAnswers",
    "calibrate",
    "case_verdicts",
    "current",
    "current_sample",
    "failure_text",
]
