"""What a search for a better prompt is asked for, measures candidates with, and says as it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from ..config import Config
from ..errors import UsageError
from ..models import Job, JobStatus, Trace
from ..optimize import DEFAULT_ENGINE, Budget, CostEstimate, Evaluator, Event, Improve, Meter
from ..optimize.search import TaskCase
from ..prompts import Prompt, PromptLibrary
from ..store import Store
from . import jobs

#: What a search may cost where nobody says otherwise.
DEFAULT_BUDGET = Budget(usd=5.0, rollouts=400)

Source = Literal["suite", "feedback"]

#: US dollars above which people are asked, or warned, before a search begins or insights are drawn.
DEAR_USD = 1.0


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
    def of(
        cls,
        config: Config,
        task: str,
        *,
        engine: str | None = None,
        budget_usd: float | None = None,
        max_rollouts: int | None = None,
        seed: int = 0,
        triggered_by: str = "command",
        source: Source = "suite",
        run_id: str | None = None,
    ) -> Search:
        """Make a search of what is said for it, else of what the task's settings say."""
        settings = config.task(task).optimize
        return cls(
            task,
            engine=engine or settings.engine or DEFAULT_ENGINE,
            budget=Budget(
                usd=budget_usd or settings.budget_usd or DEFAULT_BUDGET.usd,
                rollouts=max_rollouts or settings.max_rollouts or DEFAULT_BUDGET.rollouts,
            ),
            seed=seed,
            triggered_by=triggered_by,
            source=source,
            run_id=run_id,
        )

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
        critical: The criteria that no candidate may be worse in.
        reasons: Whether scores say why they are not higher, as far as that is known beforehand.
    """

    cases: tuple[TaskCase, ...]
    model: str
    rubric: str
    reflector: str | None = None
    critical: frozenset[str] = frozenset()
    reasons: bool = True


class Measure(Protocol):
    """What a search measures candidates with. Its methods are called in the order of their names here."""

    def fix(self, search: Search) -> Search:
        """Say which cases a search is about, so that one that was broken off goes on with the same.

        Raises:
            UsageError: There are none.
        """
        ...

    def cases(self, prompt: Prompt, keep: Callable[[Trace], None]) -> Measured:
        """Return the cases that run under the active prompt.

        Args:
            prompt: The active one.
            keep: Stores what a rollout did, before the rollout is handed over.

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


def unfinished(config: Config, store: Store, task: str) -> Search:
    """Return the newest search of a task that did not come to its end, to go on with it.

    Raises:
        UsageError: There is none, or it was for another text than the task runs now.
    """
    # One that ended before the search began, as a dry run does, is none to go on with.
    found = [job for job in store.jobs.newest(task, kind=jobs.OPTIMIZE) if not job.result.get("dry_run")]
    job = jobs.look_up(store, found[0].id) if found else None
    if job is None or job.status is JobStatus.COMPLETED:
        raise UsageError(f"--resume: no search for '{task}' was broken off")
    begun_with = job.settings.get("prompt_sha256")
    if begun_with not in (None, PromptLibrary(config).get(task).sha256):
        raise UsageError(
            f"--resume: the search that was broken off is for another version of '{task}'; make that one "
            f"active, or name it: KAIZEN_PROMPT_VERSION={task}=N"
        )
    return Search.of_job(job)


def estimate_lines(task: str, estimate: CostEstimate, budget: Budget) -> list[str]:
    """Say what is to be known of the scores, and what a search will cost."""
    if estimate.usd is None:
        cost = "a cost that is not known (a model's price is missing)"
    else:
        cost = f"${estimate.usd[0]:.2f} to ${estimate.usd[1]:.2f}"
    cap = "" if budget.usd is None else f"; it stops at ${budget.usd:g}"
    return [
        *(f"{task}: {note}" for note in estimate.notes),
        f"{task}: a search takes {_range(estimate.rollouts)} rollouts, {_range(estimate.calls)} calls to the "
        f"reflecting model, {cost}{cap}",
    ]


def dear_line(task: str, estimate: CostEstimate, budget: Budget) -> str | None:
    """Warn about a search that may cost much; None for one that cannot."""
    if estimate.usd is None:
        return (
            f"{task}: warning: what this search costs is not known, and no cap in money covers its rollouts"
        )
    most = min(estimate.usd[1], estimate.usd[1] if budget.usd is None else budget.usd)
    return f"{task}: warning: this search may cost ${most:.2f}" if most > DEAR_USD else None


def dear_study_line(usd: tuple[float, float] | None, budget_usd: float) -> str | None:
    """Warn about insights that may cost much; None where they cannot."""
    most = budget_usd if usd is None else min(usd[1], budget_usd)
    return f"warning: this may cost ${most:.2f}" if most > DEAR_USD else None


def no_reasons_line(task: str) -> str:
    """Warn about scores that a search can learn nothing from."""
    return (
        f"{task}: warning: no score says why it is not higher; give checks a reason or use a rubric, "
        "or the search has nothing to go by"
    )


def event_line(event: Event) -> str:
    """Say how far a search is, what it has used, and how good its best prompt is."""
    best = "" if event.best is None else f", score {event.best:.2f}"
    return f"{event.step} ({event.spend.rollouts} rollouts, ${event.spend.usd:.2f}{best})"


def _range(numbers: tuple[int, int]) -> str:
    low, high = numbers
    return f"{low}" if low == high else f"{low} to {high}"
