"""What a session collected, as far as the whole run needs to know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..config import Config
from ..gate import Family
from .plan import NO_TASK, CasePlan

if TYPE_CHECKING:
    from ..score import Rubric


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
