"""What flows through the system: plain data, validated at the edges, without I/O."""

from .answer import AnswerKey
from .baseline import Fall, MetricMean, TaskBaseline, TaskChanges, UsedPrompt
from .calibration import Agreement, Calibration, Pair
from .ci import CIContext, CIProvider
from .gate import BOUNDED_METRICS, BUDGET_METRICS, Bar, GateResult, GateSpec, Interval, Outcome, Scope
from .prompt import PromptVersion
from .run import Case, Run, Sample, TaskSummary
from .score import Score, ScoreSource
from .trace import Attempt, Message, Part, Span, SpanKind, Trace, Usage, new_span_id, new_trace_id

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
