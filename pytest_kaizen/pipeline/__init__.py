"""The order of things: a sample, a case, a run.

Here are the names that a run of tests needs. What only commands need is imported from its own
module (``calibrate``, ``redacted``), so that no test waits for it.
"""

from .answers import StoredAnswers
from .baseline import Baselines
from .calibrations import Calibrations
from .collected import Collected
from .live import Content, LiveSample, current, current_sample
from .open_store import open_store
from .plan import NO_TASK, CasePlan, PromptRule
from .run import RunBook
from .sample import Scorer, Scoring
from .sampling import Sampling
from .verdicts import case_verdicts, failure_text
from .writer import RunWriter

__all__ = [
    "NO_TASK",
    "Baselines",
    "Calibrations",
    "CasePlan",
    "Collected",
    "Content",
    "LiveSample",
    "PromptRule",
    "RunBook",
    "RunWriter",
    "Sampling",
    "Scorer",
    "Scoring",
    "StoredAnswers",
    "case_verdicts",
    "current",
    "current_sample",
    "failure_text",
    "open_store",
]
