"""Insights: lessons drawn from traces."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

#: What drawing insights may cost where nothing else is said.
DEFAULT_BUDGET_USD = 5.0


class InsightStatus(StrEnum):
    """What people, or the search on their behalf, decided about an insight."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Insight(BaseModel, defer_build=True):
    """One atomic lesson: a rule, and when it applies.

    Attributes:
        id: Derived from task and text, so that the same lesson has the same id in every job.
        section: The heading it belongs under in a skillbook.
        rule: What to do, in one sentence.
        when: The condition under which the rule applies; empty for always.
        criterion: The criterion whose failures it is about.
        evidence: The ids of the traces it was drawn from.
        justification: Why the evidence supports the rule.
        confidence: The reflector's own, in [0, 1].
        votes: How many reflections came to it.
        helpful: Rollouts on its evidence that got better with it.
        harmful: Rollouts on its evidence that got worse with it, or no better.
        contradicts: The ids of insights that cannot be followed together with it.
        note: What the person who triaged it wrote.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    task: str
    section: str = "general"
    rule: str
    when: str = ""
    criterion: str | None = None
    evidence: tuple[str, ...] = ()
    justification: str = ""
    confidence: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    votes: int = 1
    helpful: int = 0
    harmful: int = 0
    status: InsightStatus = InsightStatus.PENDING
    contradicts: tuple[str, ...] = ()
    note: str | None = None
    created_at: datetime | None = None

    @property
    def text(self) -> str:
        """The lesson as it stands in a prompt: one line."""
        line = f"{self.when.rstrip(' :,')}: {self.rule}" if self.when else self.rule
        return " ".join(line.split())
