"""The order of things: a sample, a case, a run.

Here are the names that a run of tests needs. What only commands need is imported from its own
module (``calibrate``, ``redacted``), so that no test waits for it.

They are resolved when they are first used (PEP 562): a command needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

# Its module has the same name, which would hide it.
from .open_store import open_store

if TYPE_CHECKING:
    from .answers import StoredAnswers
    from .baseline import Baselines
    from .calibrations import Calibrations
    from .collected import Collected
    from .live import Content, LiveSample, current, current_sample
    from .plan import NO_TASK, CasePlan, PromptRule
    from .run import RunBook
    from .sample import Scorer, Scoring
    from .sampling import Sampling
    from .verdicts import case_verdicts, failure_text
    from .writer import RunWriter
else:
    __getattr__ = Late(
        __name__,
        {
            "Baselines": "baseline",
            "Calibrations": "calibrations",
            "CasePlan": "plan",
            "Collected": "collected",
            "Content": "live",
            "LiveSample": "live",
            "NO_TASK": "plan",
            "PromptRule": "plan",
            "RunBook": "run",
            "RunWriter": "writer",
            "Sampling": "sampling",
            "Scorer": "sample",
            "Scoring": "sample",
            "StoredAnswers": "answers",
            "case_verdicts": "verdicts",
            "current": "live",
            "current_sample": "live",
            "failure_text": "verdicts",
        },
    )

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
