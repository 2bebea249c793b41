"""What a case is asked for: its task, rubrics and gates, read from its markers before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config import RecordMode
from ..gate import VersionRequirement
from ..models import GateSpec

if TYPE_CHECKING:
    from ..score import Rubric

#: Where cases are counted whose test names no task.
NO_TASK = "(no task)"


@dataclass(frozen=True)
class PromptRule:
    """An assertion on the version of a prompt that the case really uses."""

    task: str
    requirement: VersionRequirement
    origin: str


@dataclass(frozen=True)
class CasePlan:
    """One test item, as its markers and ``kaizen.yaml`` describe it.

    Attributes:
        case_id: pytest's node id.
        task: ``NO_TASK`` for a test that names none; its calls are recorded all the same.
        asked: The test uses the fixture or a marker, so that it is a case even if it calls nothing.
        rubrics: What scores every sample of the case.
        gates: The case's own rules.
        task_metrics: The metrics that gates on the whole task look at.
        samples: How often the body runs at least.
        max_samples: How often at most; more than ``samples`` where a gate states a confidence.
        most: How often at most where a gate on the whole task is undecided.
        concurrency: Samples under way at once.
        isolate: Each sample has fixtures of its own.
        record: What its marker says about its calls; None without one.
    """

    case_id: str
    name: str
    task: str = NO_TASK
    asked: bool = False
    rubrics: tuple[Rubric, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    prompt_rules: tuple[PromptRule, ...] = ()
    task_metrics: frozenset[str] = frozenset()
    samples: int = 1
    max_samples: int = 1
    most: int = 1
    concurrency: int = 1
    isolate: bool = False
    record: RecordMode | None = None

    def tolerates_check(self, name: str) -> bool:
        """Whether a gate says how often a check may fail, so that one failure is no failed test."""
        governed = {gate.metric for gate in self.gates} | self.task_metrics
        return not governed.isdisjoint({name, "score", "pass_rate"})

    @property
    def tolerates_exceptions(self) -> bool:
        """Whether the case's own gates say how many samples may raise."""
        return any(gate.metric == "pass_rate" for gate in self.gates)
