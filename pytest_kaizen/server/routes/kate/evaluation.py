"""What is known of the quality of an agent."""

from __future__ import annotations

from ....pipeline.evaluations import summary_of
from ....platforms.kate.wire import EvalSummary
from ...operation import Access, Call, Operation
from .known import agent_of


def summary(call: Call, agent_id: str) -> EvalSummary:
    """Sum up the runs of an agent; there is no overall score until a run has been evaluated."""
    return summary_of(call.state.config, call.store, agent_of(call.store, agent_id))


OPERATIONS = (Operation("GET", "/agents/{agent_id}/eval/summary", Access.READ, summary, errors=(404,)),)
