"""Agents, and the runs that programs report of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field


class AgentRunStatus(StrEnum):
    """Where a run stands; a completed or failed one stays so."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Agent(BaseModel, defer_build=True):
    """A program of which runs are reported.

    Attributes:
        id: A UUID, or any text of letters, digits, ``-`` and ``_`` that a program chose.
        domain: What it is about, in a word.
        objective: What it is to do.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str = Field(min_length=1)
    domain: str = "general"
    objective: str | None = None
    created_at: datetime
    updated_at: datetime


class AgentRun(BaseModel, defer_build=True):
    """One run of an agent; its spans are those of the trace that has its id.

    Attributes:
        id: A UUID, with its hyphens.
        trigger: ``manual``, ``automatic`` or ``test``.
        overall_score: What an evaluation gave it; None until there is one.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    agent_id: str
    status: AgentRunStatus = AgentRunStatus.RUNNING
    trigger: str
    overall_score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    created_at: datetime
    completed_at: datetime | None = None

    @property
    def trace_id(self) -> str:
        """The id of the trace that it is: its UUID without hyphens, as OpenTelemetry has ids."""
        return self.id.replace("-", "")
