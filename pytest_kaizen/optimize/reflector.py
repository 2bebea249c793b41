"""What a search asks of the model that reflects, and what it answers.

Requests hold all that the model is shown, and nothing else reaches it.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ..models import Feedback


class _Frozen(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True)


class Failure(_Frozen):
    """A rollout with less than full marks, or a trace that is studied, which may have no score."""

    case_id: str
    trace_id: str | None = None
    input: str
    output: str | None = None
    score: float | None
    feedback: tuple[Feedback, ...] = ()


class ReflectionRequest(_Frozen):
    """Lessons are wanted from a few failures, or from traces, good or bad.

    Attributes:
        prompt: The prompt that they failed under; empty where there is none.
        rejected: Lessons that were tried or triaged and are not to be proposed again.
        noted: Lessons that are known already.
        mode: ``recursive`` lets the reflector read the traces' spans one by one.
        attempt: Asks the same question anew.
        of: Whether ``failures`` are failures, or traces of which nobody says how good they are.
    """

    kind: Literal["reflect"] = "reflect"
    of: Literal["failures", "traces"] = "failures"
    task: str
    prompt: str
    failures: tuple[Failure, ...]
    rejected: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    mode: Literal["standard", "recursive"] = "standard"
    attempt: int = 0


class Lesson(_Frozen):
    """One proposed rule.

    Attributes:
        replaces: The line of the prompt that it changes, word for word; None adds a line.
        evidence: The case ids of the failures it was drawn from.
    """

    rule: str
    when: str = ""
    section: str = "general"
    criterion: str | None = None
    replaces: str | None = None
    evidence: tuple[str, ...] = ()
    justification: str = ""
    confidence: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)


class RelateRequest(_Frozen):
    """Which new rules say the same as a known one, or the opposite?"""

    kind: Literal["relate"] = "relate"
    task: str
    new: tuple[str, ...]
    known: tuple[str, ...]


class Relation(_Frozen):
    """How a new rule stands to a known one; both by their place in the request, from 0."""

    new: int
    known: int
    kind: Literal["same", "contradicts"]


class RewriteRequest(_Frozen):
    """A whole text is asked for, as an engine of its own words puts it."""

    kind: Literal["rewrite"] = "rewrite"
    text: str
    attempt: int = 0


class Answer(_Frozen):
    """What every answer says about itself: the metered model calls it took and what they cost."""

    calls: int = 0
    cost_usd: float = 0.0


class Lessons(Answer):
    """The answer to a ``ReflectionRequest``."""

    lessons: tuple[Lesson, ...] = ()


class Relations(Answer):
    """The answer to a ``RelateRequest``."""

    relations: tuple[Relation, ...] = ()


class Rewrite(Answer):
    """The answer to a ``RewriteRequest``."""

    text: str


class Reflector(Protocol):
    """A model that reflects. A failure is raised as ``LLMError``.

    Whoever calls models counts the calls with the job's meter (``CappedLLM``) and says in the answer
    how many they were, so that they count again when the answer comes from the ledger.
    """

    def reflect(self, request: ReflectionRequest) -> Lessons:
        """Draw lessons from failures."""
        ...

    def relate(self, request: RelateRequest) -> Relations:
        """Find rules that say the same or the opposite."""
        ...

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        """Answer in free text."""
        ...
