"""What flows through the system: plain data, validated at the edges, without I/O."""

from .gate import BOUNDED_METRICS, BUDGET_METRICS, Bar, GateResult, GateSpec, Interval, Outcome, Scope
from .prompt import PromptVersion
from .run import Case, Run, Sample, TaskSummary
from .score import Score, ScoreSource
from .trace import Attempt, Message, Part, Span, SpanKind, Trace, Usage, new_span_id, new_trace_id

__all__ = [
    "BOUNDED_METRICS",
    "BUDGET_METRICS",
    "Attempt",
    "Bar",
    "Case",
    "GateResult",
    "GateSpec",
    "Interval",
    "Message",
    "Outcome",
    "Part",
    "PromptVersion",
    "Run",
    "Sample",
    "Scope",
    "Score",
    "ScoreSource",
    "Span",
    "SpanKind",
    "TaskSummary",
    "Trace",
    "Usage",
    "new_span_id",
    "new_trace_id",
]
