"""The terms of a search: the cases it may see, what runs them, what it asks of a model, what it gives back.

Requests to the model that reflects hold all that it is shown, and nothing else reaches it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ..models import Feedback, Insight, Scored, Spend

#: Shares of search and validation; the rest is held out.
DEFAULT_SHARES = (0.5, 0.2)


@dataclass(frozen=True)
class TaskCase:
    """One case as the search sees it.

    Attributes:
        id: pytest's node id, or the id of a logged input.
        input: What the program is given, as text; cases with equal inputs stay together.
    """

    id: str
    input: str

    @property
    def key(self) -> str:
        """The case in a ledger: an edited input makes it another case."""
        return f"{self.id}#{_digest(self.input)[:16]}"


class Split(NamedTuple):
    """Three disjoint sets of cases, each in the order of their ids.

    Attributes:
        search: An engine reads their failures.
        validation: An engine picks among its candidates by their scores; nobody reads them.
        held_out: The winner is looked at on these, once.
    """

    search: tuple[TaskCase, ...]
    validation: tuple[TaskCase, ...]
    held_out: tuple[TaskCase, ...]


def split_cases(
    cases: Iterable[TaskCase], *, search: float = DEFAULT_SHARES[0], validation: float = DEFAULT_SHARES[1]
) -> Split:
    """Split cases by a stable hash of their input.

    The same input lands on the same side in every job, whatever other cases there are and whichever
    tests use it; so no case that a search has read is ever held out later. The shares hold on
    average, not exactly.

    Args:
        cases: The task's cases.
        search: The share of the search, in (0, 1).
        validation: The share of the validation, in [0, 1).

    Raises:
        ValueError: Shares that leave nothing to search in or nothing to hold out.
    """
    sides: tuple[list[TaskCase], ...] = ([], [], [])
    for case in sorted(cases, key=lambda case: case.id):
        sides[_side(case.input, search, validation)].append(case)
    return Split(*map(tuple, sides))


def is_held_out(
    text: str, *, search: float = DEFAULT_SHARES[0], validation: float = DEFAULT_SHARES[1]
) -> bool:
    """Return whether a case with this input is held out; see ``split_cases``."""
    return _side(text, search, validation) == 2


def input_text(value: Any) -> str:
    """Write an input so that equal ones are the same text: a text as it is, anything else as JSON.

    Whatever a case comes from, it is by this text that it falls to one side of the split.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    except (TypeError, ValueError):
        return str(value)


def _side(text: str, search: float, validation: float) -> int:
    if not (0 < search < 1 and 0 <= validation < 1 and search + validation < 1):
        raise ValueError(
            f"the shares of search ({search:g}) and validation ({validation:g}) must leave a share held out"
        )
    place = int(_digest(text)[:13], 16) / 16**13
    return 0 if place < search else 1 if place < search + validation else 2


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Evaluator(Protocol):
    """Runs cases under a prompt and scores them: a suite's worker process, or a model and a rubric.

    Everything that goes in and comes out is plain JSON (texts, numbers, ``Scored`` by pydantic), so
    that an implementation may sit behind a pipe or on another machine.
    """

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        """Run every case once for each sample number, as far as possible at the same time.

        Args:
            prompt: The text of the candidate.
            cases: The ids of the cases.
            samples: The numbers of the samples of each case, counted from 0.

        Returns:
            The rollouts in any order, best handed over one by one as they end: what was handed over
            survives a kill. One that fails is a ``Scored`` with an error, never an exception; one
            that is missing counts as failed.
        """
        ...


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


@dataclass(frozen=True)
class SearchJob:
    """One search.

    Attributes:
        prompt: The text of the active prompt.
        search: The cases whose failures may be read.
        validation: The cases whose scores may pick among candidates.
        model: The model that answers under the prompt; part of the ledger's key.
        rubric: The SHA-256 of what judges; part of the ledger's key.
        reflector: The model that reflects; another one is asked anew.
        insights: Accepted ones are proposed first, rejected ones never again.
        seed: Of all that is random.
        epochs: How often the search may pass over its cases.
        chunk: Failures per reflection.
        mode: How long traces are read.
    """

    task: str
    prompt: str
    search: tuple[TaskCase, ...]
    validation: tuple[TaskCase, ...] = ()
    model: str = ""
    rubric: str = ""
    reflector: str = ""
    insights: tuple[Insight, ...] = ()
    seed: int = 0
    epochs: int = 8
    chunk: int = 3
    mode: Literal["standard", "recursive"] = "standard"


@dataclass(frozen=True)
class Candidate:
    """A prompt that an engine proposes.

    Attributes:
        insights: The lessons in it that the active prompt lacks, as far as they are known.
    """

    text: str
    insights: tuple[Insight, ...] = ()


@dataclass(frozen=True)
class Event:
    """Progress.

    Attributes:
        step: What the search does now.
        spend: What it has used.
        best: The mean score of its best prompt, as last measured on the cases at hand.
    """

    step: str
    spend: Spend = field(default_factory=Spend)
    best: float | None = None


OnEvent = Callable[[Event], None]
