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
    from .insight import Insight, InsightStatus
    from .job import Job, JobStatus, Spend
    from .prompt import PromptVersion
    from .proposal import Acceptance, CasePair, CriterionPair, Decision, Proposal, ProposalStatus, PullRequest
    from .rollout import Feedback, RolloutKey, Scored
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
    "Acceptance": "proposal",
    "Agreement": "calibration",
    "AnswerKey": "answer",
    "Attempt": "trace",
    "Bar": "gate",
    "CIContext": "ci",
    "CIProvider": "ci",
    "Calibration": "calibration",
    "Case": "run",
    "CasePair": "proposal",
    "CriterionPair": "proposal",
    "Decision": "proposal",
    "Fall": "baseline",
    "Feedback": "rollout",
    "GateResult": "gate",
    "GateSpec": "gate",
    "Insight": "insight",
    "InsightStatus": "insight",
    "Interval": "gate",
    "Job": "job",
    "JobStatus": "job",
    "Message": "trace",
    "MetricMean": "baseline",
    "Outcome": "gate",
    "Pair": "calibration",
    "Part": "trace",
    "PromptVersion": "prompt",
    "Proposal": "proposal",
    "ProposalStatus": "proposal",
    "PullRequest": "proposal",
    "RolloutKey": "rollout",
    "Run": "run",
    "Sample": "run",
    "Scope": "gate",
    "Score": "score",
    "ScoreSource": "score",
    "Scored": "rollout",
    "Span": "trace",
    "SpanKind": "trace",
    "Spend": "job",
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
    "Acceptance",
    "Agreement",
    "AnswerKey",
    "Attempt",
    "Bar",
    "CIContext",
    "CIProvider",
    "Calibration",
    "Case",
    "CasePair",
    "CriterionPair",
    "Decision",
    "Fall",
    "Feedback",
    "GateResult",
    "GateSpec",
    "Insight",
    "InsightStatus",
    "Interval",
    "Job",
    "JobStatus",
    "Message",
    "MetricMean",
    "Outcome",
    "Pair",
    "Part",
    "PromptVersion",
    "Proposal",
    "ProposalStatus",
    "PullRequest",
    "RolloutKey",
    "Run",
    "Sample",
    "Scope",
    "Score",
    "ScoreSource",
    "Scored",
    "Span",
    "SpanKind",
    "Spend",
    "TaskBaseline",
    "TaskChanges",
    "TaskSummary",
    "Trace",
    "Usage",
    "UsedPrompt",
    "new_span_id",
    "new_trace_id",
]
