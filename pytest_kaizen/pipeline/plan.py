"""What is asked before anything runs: of a case, by its markers, and of all that a session collected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..config import Config, RecordMode
from ..gate import Family, VersionRequirement
from ..models import GateSpec

if TYPE_CHECKING:
    from ..score import Rubric


#: Where cases are counted whose test names no task.
NO_TASK = "(no task)"


class PromptRule(NamedTuple):
    """An assertion on the version of a prompt that the case really uses."""

    task: str
    requirement: VersionRequirement
    origin: str


class CasePlan(NamedTuple):
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


@dataclass(frozen=True)
class Collected:
    """The cases of a session, also those that it then deselected.

    Attributes:
        cases: How many there are, by task.
        rubrics: What scores them, by task.
        beyond: By task, why there are cases that this session never collected.
        confidences: What the sequential gates on those cases that are to run state, in (0, 1).
    """

    cases: Mapping[str, int] = field(default_factory=dict)
    rubrics: Mapping[str, tuple[Rubric, ...]] = field(default_factory=dict)
    beyond: Mapping[str, str] = field(default_factory=dict)
    confidences: Sequence[float] = ()

    @classmethod
    def of(cls, plans: Iterable[CasePlan], beyond: Mapping[str, str], selected: Collection[str]) -> Collected:
        """Count the cases of plans.

        Args:
            plans: All that were collected.
            beyond: As the attribute.
            selected: The ids of the cases that are to run.
        """
        cases: dict[str, int] = {}
        rubrics: dict[str, dict[str, Rubric]] = {}
        confidences: list[float] = []
        for plan in plans:
            if plan.asked:
                cases[plan.task] = cases.get(plan.task, 0) + 1
                of_task = rubrics.setdefault(plan.task, {})
                of_task.update({str(rubric.path): rubric for rubric in plan.rubrics})
            if plan.case_id in selected:
                confidences += [gate.confidence for gate in plan.gates if gate.confidence is not None]
        by_task = {task: tuple(found.values()) for task, found in rubrics.items()}
        return cls(cases, by_task, beyond, confidences)

    def family(self, config: Config) -> Family | None:
        """Return all sequential gates of the session, if their errors are to hold over all of them."""
        if config.gate_correction == "none":
            return None
        on_tasks = [
            spec.confidence
            for spec in config.task_gates
            if spec.confidence is not None and spec.task in self.cases
        ]
        return Family([*self.confidences, *on_tasks])

    @property
    def tasks(self) -> list[str]:
        """The tasks that have cases."""
        return sorted(self.cases.keys() - {NO_TASK})
