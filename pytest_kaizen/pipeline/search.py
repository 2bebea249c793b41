"""What a search for a better prompt is asked for, and what it measures candidates with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from ..models import Job
from ..optimize import DEFAULT_ENGINE, Budget, Evaluator, Improve, Meter
from ..optimize.cases import TaskCase
from ..prompts import Prompt

#: The kind of the job that a search is.
KIND = "optimize"
#: What a search may cost where nobody says otherwise.
DEFAULT_BUDGET = Budget(usd=5.0, rollouts=400)

Source = Literal["suite", "feedback"]


@dataclass(frozen=True)
class Search:
    """What is searched for, and at what cost at most.

    Attributes:
        task: The task.
        engine: One of ``optimize.ENGINES``.
        budget: The caps.
        seed: Of all that is random.
        triggered_by: ``command``, ``gate`` or ``threshold``.
        source: Where the cases come from: the tests of the task, or its logged feedback.
        run_id: The run whose cases are the task's; the last whole run by default.
        last: The number of the newest entry of feedback that counts; the newest there is by default.
        job_id: The job to go on with; a new one by default.
    """

    task: str
    engine: str = DEFAULT_ENGINE
    budget: Budget = DEFAULT_BUDGET
    seed: int = 0
    triggered_by: str = "command"
    source: Source = "suite"
    run_id: str | None = None
    last: int | None = None
    job_id: str | None = None

    @classmethod
    def of_job(cls, job: Job) -> Search:
        """Return the search that a job is, to begin it or to go on with it."""
        known = job.settings
        return cls(
            task=job.task,
            engine=known["engine"],
            budget=Budget(usd=known["budget_usd"], rollouts=known["max_rollouts"]),
            seed=known["seed"],
            triggered_by=job.triggered_by,
            source=known.get("source", "suite"),
            run_id=known["run_id"],
            last=known.get("last"),
            job_id=job.id,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What ``of_job`` has to know, as JSON."""
        return {
            "engine": self.engine,
            "budget_usd": self.budget.usd,
            "max_rollouts": self.budget.rollouts,
            "seed": self.seed,
            "source": self.source,
            "run_id": self.run_id,
            "last": self.last,
        }


class Measured(NamedTuple):
    """What candidates are measured on, and by whom.

    Attributes:
        cases: The cases of the task.
        model: The model that answers under the prompt.
        rubric: A SHA-256 of all that a score comes from.
        reflector: The model that is to reflect; None leaves it to the configuration.
    """

    cases: tuple[TaskCase, ...]
    model: str
    rubric: str
    reflector: str | None = None


class Measure(Protocol):
    """What a search measures candidates with. Its methods are called in the order of their names here."""

    def fix(self, search: Search) -> Search:
        """Say which cases a search is about, so that one that was broken off goes on with the same.

        Raises:
            UsageError: There are none.
        """
        ...

    def cases(self, prompt: Prompt) -> Measured:
        """Return the cases that run under the active prompt.

        Raises:
            UsageError: There are none, or they cannot be run or scored.
            WorkerError: The suite cannot be run.
        """
        ...

    def notes(self, meter: Meter) -> tuple[str, ...]:
        """Return what is to be known of the scores before money is spent on the search.

        Args:
            meter: Counts and caps what it takes to know.
        """
        ...

    def evaluator(self, request: Improve) -> Evaluator:
        """Return what runs the cases."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...
