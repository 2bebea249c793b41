"""What flows through the system: plain data, validated at the edges, without I/O.

The names are resolved when they are first used (PEP 562): the configuration needs the gates alone,
and to build all the models takes longer than the start of a run without tests otherwise does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answer import AnswerKey
    from .baseline import Fall, MetricMean, TaskBaseline, TaskChanges, UsedPrompt
    from .calibration import Agreement, Calibration, Pair
    from .ci import CIContext, CIProvider
    from .gate import BOUNDED_METRICS, BUDGET_METRICS, Bar, GateResult, GateSpec, Interval, Outcome, Scope
    from .prompt import PromptVersion
    from .run import Case, Run, Sample, TaskSummary
    from .score import Score, ScoreSource
    from .trace import Attempt, Message, Part, Span, SpanKind, Trace, Usage, new_span_id, new_trace_id
else:

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        return found


_HOME = {
    "BOUNDED_METRICS": "gate",
    "BUDGET_METRICS": "gate",
    "Agreement": "calibration",
    "AnswerKey": "answer",
    "Attempt": "trace",
    "Bar": "gate",
    "CIContext": "ci",
    "CIProvider": "ci",
    "Calibration": "calibration",
    "Case": "run",
    "Fall": "baseline",
    "GateResult": "gate",
    "GateSpec": "gate",
    "Interval": "gate",
    "Message": "trace",
    "MetricMean": "baseline",
    "Outcome": "gate",
    "Pair": "calibration",
    "Part": "trace",
    "PromptVersion": "prompt",
    "Run": "run",
    "Sample": "run",
    "Scope": "gate",
    "Score": "score",
    "ScoreSource": "score",
    "Span": "trace",
    "SpanKind": "trace",
    "TaskBaseline": "baseline",
    "TaskChanges": "baseline",
    "TaskSummary": "run",
    "Trace": "trace",
    "Usage": "trace",
    "UsedPrompt": "baseline",
    "new_span_id": "trace",
    "new_trace_id": "trace",
}

__all__ = [
    "BOUNDED_METRICS",
    "BUDGET_METRICS",
    "Agreement",
    "AnswerKey",
    "Attempt",
    "Bar",
    "CIContext",
    "CIProvider",
    "Calibration",
    "Case",
    "Fall",
    "GateResult",
    "GateSpec",
    "Interval",
    "Message",
    "MetricMean",
    "Outcome",
    "Pair",
    "Part",
    "PromptVersion",
    "Run",
    "Sample",
    "Scope",
    "Score",
    "ScoreSource",
    "Span",
    "SpanKind",
    "TaskBaseline",
    "TaskChanges",
    "TaskSummary",
    "Trace",
    "Usage",
    "UsedPrompt",
    "new_span_id",
    "new_trace_id",
]
