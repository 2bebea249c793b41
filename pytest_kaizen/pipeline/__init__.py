"""The order of things: a sample, a case, a run.

Here are the names that a run of tests needs. What only commands need is imported from its own
module (``improve``, ``insights``), so that no test waits for it.

They are resolved when they are first used (PEP 562): a command needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
    from .baseline import Baselines
    from .judge import Calibrations, StoredAnswers
    from .plan import NO_TASK, CasePlan, Collected, PromptRule
    from .run import RunBook
    from .sample import Content, LiveSample, Scorer, Scoring, current, current_sample
    from .verdicts import Sampling, case_verdicts, failure_text
    from .writer import RunWriter, open_store
else:
    __getattr__ = Late(
        __name__,
        {
            "Baselines": "baseline",
            "Calibrations": "judge",
            "CasePlan": "plan",
            "Collected": "plan",
            "Content": "sample",
            "LiveSample": "sample",
            "NO_TASK": "plan",
            "PromptRule": "plan",
            "RunBook": "run",
            "RunWriter": "writer",
            "Sampling": "verdicts",
            "Scorer": "sample",
            "Scoring": "sample",
            "StoredAnswers": "judge",
            "case_verdicts": "verdicts",
            "current": "sample",
            "current_sample": "sample",
            "failure_text": "verdicts",
            "open_store": "writer",
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
