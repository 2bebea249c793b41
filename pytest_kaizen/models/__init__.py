"""What flows through the system: plain data, validated at the edges, without I/O."""

from .answer import AnswerKey
from .baseline import Fall, MetricMean, TaskBaseline, TaskChanges, UsedPrompt
from .calibration import Agreement, Calibration, Pair
from .gate import BOUNDED_METRICS, BUDGET_METRICS, Bar, GateResult, GateSpec, Interval, Outcome, Scope
from .insight import Insight, InsightStatus
from .job import Job, JobStatus, Spend
from .prompt import PromptVersion
from .proposal import Acceptance, CasePair, CriterionPair, Decision, Proposal, ProposalStatus
from .rollout import Feedback, RolloutKey, Scored
from .run import Case, Run, Sample, TaskSummary
from .score import Score, ScoreSource
from .trace import Attempt, Message, Part, Span, SpanKind, Trace, Usage, new_span_id, new_trace_id

__all__ = [
    "BOUNDED_METRICS",
    "BUDGET_METRICS",
    "Acceptance",
    "Agreement",
    "AnswerKey",
    "Attempt",
    "Bar",
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
