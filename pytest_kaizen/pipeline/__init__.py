"""The order of things: a sample, a case, a run."""

from .live import Content, LiveSample, current, current_sample
from .plan import NO_TASK, CasePlan, PromptRule
from .run import RunBook
from .sample import Scorer, Scoring
from .verdicts import case_verdicts, failure_text

__all__ = [
    "NO_TASK",
    "CasePlan",
    "Content",
    "LiveSample",
    "PromptRule",
    "RunBook",
    "Scorer",
    "Scoring",
    "case_verdicts",
    "current",
    "current_sample",
    "failure_text",
]
