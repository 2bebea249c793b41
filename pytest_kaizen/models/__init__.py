"""What flows through the system: plain data, validated at the edges, without I/O.

The names are resolved when they are first used (PEP 562): the configuration needs the gates alone,
and to build all the models takes longer than the start of a run without tests otherwise does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
    from .agent import Agent, AgentRun, AgentRunStatus
    from .answer import AnswerKey
    from .baseline import Fall, MetricMean, TaskBaseline, TaskChanges, UsedPrompt
    from .calibration import Agreement, Calibration, Pair
    from .ci import CIContext, CIProvider
    from .experiment import Annotation, Behavior, Experiment
    from .gate import BOUNDED_METRICS, BUDGET_METRICS, Bar, GateResult, GateSpec, Interval, Outcome, Scope
    from .insight import Insight, InsightStatus
    from .job import Job, JobStatus, Spend
    from .outbox import BackendState, OutboxRow, OutboxState, ParcelKind, Remote
    from .prompt import PromptVersion
    from .proposal import Acceptance, CasePair, CriterionPair, Decision, Proposal, ProposalStatus, PullRequest
    from .rollout import Feedback, RolloutKey, Scored
    from .run import Case, Run, Sample, TaskSummary
    from .score import Score, ScoreSource
    from .task import AUTO_EVAL, SEED, UNNAMED, FeedbackCount, FeedbackEntry, Task
    from .trace import (
        Attempt,
        Message,
        Part,
        Span,
        SpanKind,
        Trace,
        TraceFile,
        Usage,
        new_span_id,
        new_trace_id,
    )
else:
    __getattr__ = Late(
        __name__,
        {
            "AUTO_EVAL": "task",
            "BOUNDED_METRICS": "gate",
            "BUDGET_METRICS": "gate",
            "SEED": "task",
            "UNNAMED": "task",
            "Acceptance": "proposal",
            "Agent": "agent",
            "AgentRun": "agent",
            "AgentRunStatus": "agent",
            "Agreement": "calibration",
            "Annotation": "experiment",
            "AnswerKey": "answer",
            "Attempt": "trace",
            "BackendState": "outbox",
            "Bar": "gate",
            "Behavior": "experiment",
            "CIContext": "ci",
            "CIProvider": "ci",
            "Calibration": "calibration",
            "Case": "run",
            "CasePair": "proposal",
            "CriterionPair": "proposal",
            "Decision": "proposal",
            "Experiment": "experiment",
            "Fall": "baseline",
            "Feedback": "rollout",
            "FeedbackCount": "task",
            "FeedbackEntry": "task",
            "GateResult": "gate",
            "GateSpec": "gate",
            "Insight": "insight",
            "InsightStatus": "insight",
            "Interval": "gate",
            "Job": "job",
            "JobStatus": "job",
            "Message": "trace",
            "MetricMean": "baseline",
            "OutboxRow": "outbox",
            "OutboxState": "outbox",
            "Outcome": "gate",
            "Pair": "calibration",
            "ParcelKind": "outbox",
            "Part": "trace",
            "PromptVersion": "prompt",
            "Proposal": "proposal",
            "ProposalStatus": "proposal",
            "PullRequest": "proposal",
            "Remote": "outbox",
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
            "Task": "task",
            "TaskBaseline": "baseline",
            "TaskChanges": "baseline",
            "TaskSummary": "run",
            "Trace": "trace",
            "TraceFile": "trace",
            "Usage": "trace",
            "UsedPrompt": "baseline",
            "new_span_id": "trace",
            "new_trace_id": "trace",
        },
    )

__all__ = [
    "AUTO_EVAL",
    "BOUNDED_METRICS",
    "BUDGET_METRICS",
    "SEED",
    "UNNAMED",
    "Acceptance",
    "Agent",
    "AgentRun",
    "AgentRunStatus",
    "Agreement",
    "Annotation",
    "AnswerKey",
    "Attempt",
    "BackendState",
    "Bar",
    "Behavior",
    "CIContext",
    "CIProvider",
    "Calibration",
    "Case",
    "CasePair",
    "CriterionPair",
    "Decision",
    "Experiment",
    "Fall",
    "Feedback",
    "FeedbackCount",
    "FeedbackEntry",
    "GateResult",
    "GateSpec",
    "Insight",
    "InsightStatus",
    "Interval",
    "Job",
    "JobStatus",
    "Message",
    "MetricMean",
    "OutboxRow",
    "OutboxState",
    "Outcome",
    "Pair",
    "ParcelKind",
    "Part",
    "PromptVersion",
    "Proposal",
    "ProposalStatus",
    "PullRequest",
    "Remote",
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
    "Task",
    "TaskBaseline",
    "TaskChanges",
    "TaskSummary",
    "Trace",
    "TraceFile",
    "Usage",
    "UsedPrompt",
    "new_span_id",
    "new_trace_id",
]
