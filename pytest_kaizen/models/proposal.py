"""Better prompts: the lessons and the rollouts that lead to one, and the proposal with its evidence."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from .gate import Interval
from .job import Spend

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


class Feedback(BaseModel, defer_build=True):
    """What one criterion found in an output.

    Attributes:
        criterion: The score's name (``summary.faithful``, a check, a metric).
        score: None when it could not be scored.
        expected: What a good output has.
        observed: What the output had, where the scorer can say.
        reason: Why, in the scorer's words.
    """

    model_config = ConfigDict(frozen=True)

    criterion: str
    score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    expected: str | None = None
    observed: str | None = None
    reason: str | None = None


class Scored(BaseModel, defer_build=True):
    """One rollout.

    Attributes:
        sample: The number of the sample, from 0.
        score: The case's ``score`` metric; None exactly when ``error`` is set.
        output: What the program answered, as text.
        objectives: The score of each criterion, by name.
        trace_id: The trace that it left; None when it left none.
        cost_usd: What the rollout cost, its judge included; None when that is not known.
        error: Why there is no score: the worker died, the time was up, a scorer failed.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    sample: int = 0
    score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    output: str | None = None
    feedback: tuple[Feedback, ...] = ()
    objectives: dict[str, float] = Field(default_factory=dict)
    trace_id: str | None = None
    cost_usd: float | None = None
    error: str | None = None


class RolloutKey(NamedTuple):
    """What makes two rollouts the same rollout.

    Attributes:
        prompt: The SHA-256 of the prompt's text, in hex.
        case: The case's id and the hash of its input: an input that was edited is another case.
        sample: The number of the sample, from 0.
        model: The model that answers.
        rubric: The SHA-256 of what judges, in hex.
    """

    prompt: str
    case: str
    sample: int
    model: str
    rubric: str


class Decision(StrEnum):
    """What the held-out cases said about a candidate.

    ``UNDERPOWERED``: it looks better, but there are too few cases to say so at the wanted
    confidence. It is proposed all the same, and only a person may activate it.
    """

    ACCEPTED = "accepted"
    UNDERPOWERED = "underpowered"
    REJECTED = "rejected"


class CasePair(BaseModel, defer_build=True):
    """One held-out case under both prompts: its mean scores."""

    case_id: str
    before: float
    after: float


class CriterionPair(BaseModel, defer_build=True):
    """One criterion over the held-out cases that have it under both prompts.

    Attributes:
        critical: It must not fall.
        fell: It is critical and fell, or could not be compared.
    """

    name: str
    before: float | None
    after: float | None
    critical: bool = False
    fell: bool = False


class Acceptance(BaseModel, defer_build=True):
    """The verdict on one candidate, from cases that the search never saw.

    Attributes:
        before: Mean score of the active prompt over the held-out cases; None without any.
        after: Mean score of the candidate over the same cases.
        gain: The mean of the paired differences.
        gain_interval: Its anytime-valid interval at ``confidence``.
        min_gain: What the gain has to exceed.
        confidence: One minus the error allowed over all looks.
        look: The number of this look at the task's held-out cases, from 1.
        level: The error allowed to this look alone.
        detectable: The smallest gain that these cases would have shown in four tries out of five;
            None when no gain below 1 would have.
        missing: Held-out cases without a score under one of the prompts.
        sentence: The verdict in one sentence.
    """

    decision: Decision
    before: float | None = None
    after: float | None = None
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    gain: float | None = None
    gain_interval: Interval | None = None
    min_gain: float
    confidence: float
    look: int
    level: float
    detectable: float | None = None
    cases: list[CasePair] = Field(default_factory=list)
    criteria: list[CriterionPair] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    sentence: str

    @property
    def won(self) -> list[str]:
        """The cases that score higher under the candidate."""
        return [pair.case_id for pair in self.cases if pair.after > pair.before]

    @property
    def lost(self) -> list[str]:
        """The cases that score lower under the candidate."""
        return [pair.case_id for pair in self.cases if pair.after < pair.before]


class ProposalStatus(StrEnum):
    """What became of a proposal.

    ``PR_OPEN``: a pull request was opened for it. ``PR_FAILED``: none could be.
    """

    OPEN = "open"
    PR_OPEN = "pr_open"
    PR_FAILED = "pr_failed"
    ACTIVATED = "activated"
    DISMISSED = "dismissed"

    @property
    def is_open(self) -> bool:
        """Whether nobody decided about it yet: it keeps others for the same prompt out."""
        return self not in (ProposalStatus.ACTIVATED, ProposalStatus.DISMISSED)


class PullRequest(BaseModel, defer_build=True):
    """How far a proposal came on its way to a pull request.

    Attributes:
        branch: The branch at the remote.
        commit: What was pushed to it; None when nothing was.
        url: The page of the pull request; None when there is none.
        error: Why there is none.
    """

    branch: str
    commit: str | None = None
    url: str | None = None
    error: str | None = None


class Proposal(BaseModel, defer_build=True):
    """A candidate prompt for a task.

    Attributes:
        parent_sha256: Of the prompt it is to replace; one proposal is open per task and parent.
        sha256: Of ``text``.
        diff: The lines of a unified diff from the parent.
        insights: The lessons behind the changes.
        engine: The engine that found it.
        validation: Its mean score on the validation cases, by which it was picked.
        pull_request: None when none was asked for.
    """

    id: str
    task: str
    parent_sha256: str
    sha256: str
    text: str
    diff: list[str]
    insights: list[Insight] = Field(default_factory=list)
    engine: str
    validation: float | None = None
    acceptance: Acceptance
    spend: Spend
    status: ProposalStatus = ProposalStatus.OPEN
    created_at: datetime | None = None
    pull_request: PullRequest | None = None

    @property
    def may_activate(self) -> bool:
        """Whether it may become active without a person's consent."""
        return self.acceptance.decision is Decision.ACCEPTED

    @property
    def pull_request_line(self) -> str:
        """What came of the pull request, in one line."""
        pull = self.pull_request
        if pull is None:
            return "no pull request"
        if pull.url is not None:
            return f"pull request: {pull.url}"
        kept = f"; the branch {pull.branch} is there" if pull.commit is not None else ""
        return f"PR_FAILED: {pull.error}{kept}"
