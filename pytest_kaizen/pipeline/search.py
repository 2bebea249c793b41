"""What a search for a better prompt is told to do, and the one that was broken off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..config import Config
from ..errors import UsageError
from ..models import Job, JobStatus, Spend
from ..optimize import DEFAULT_ENGINE, Budget
from ..prompts import PromptLibrary
from ..store import Store

KIND = "optimize"
#: What a search may cost where nobody says otherwise.
DEFAULT_BUDGET = Budget(usd=5.0, rollouts=400)


@dataclass(frozen=True)
class Search:
    """What is searched for, and at what cost at most.

    Attributes:
        task: The task.
        engine: One of ``optimize.ENGINES``.
        budget: The caps.
        seed: Of all that is random.
        triggered_by: ``command`` or ``gate``.
        run_id: The run whose cases are the task's; the last whole run by default.
    """

    task: str
    engine: str = DEFAULT_ENGINE
    budget: Budget = DEFAULT_BUDGET
    seed: int = 0
    triggered_by: str = "command"
    run_id: str | None = None

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
        run_id: str | None = None,
    ) -> Search:
        """Make a search of what is said for it, else of what the task's settings say."""
        settings = config.task(task).optimize
        budget = Budget(
            usd=budget_usd or settings.budget_usd or DEFAULT_BUDGET.usd,
            rollouts=max_rollouts or settings.max_rollouts or DEFAULT_BUDGET.rollouts,
        )
        return cls(task, engine or settings.engine or DEFAULT_ENGINE, budget, seed, triggered_by, run_id)

    @property
    def settings(self) -> dict[str, Any]:
        """What a search that goes on later has to know, as JSON."""
        caps = {"budget_usd": self.budget.usd, "max_rollouts": self.budget.rollouts}
        return {"engine": self.engine, "seed": self.seed, "run_id": self.run_id, **caps}


def unfinished(config: Config, store: Store, task: str) -> Search:
    """Return the newest search of a task that did not come to its end, to go on with it.

    Raises:
        UsageError: There is none, or it was for another text than the task runs now.
    """
    jobs = [job for job in store.jobs(task) if job.kind == KIND and not _is_estimate(job)]
    if not jobs or jobs[0].status is JobStatus.COMPLETED:
        raise UsageError(f"--resume: no search for '{task}' was broken off")
    known = jobs[0].result
    if known["prompt_sha256"] != PromptLibrary(config).get(task).sha256:
        raise UsageError(
            f"--resume: the search that was broken off is for another version of '{task}'; make that one "
            f"active, or name it: KAIZEN_PROMPT_VERSION={task}=N"
        )
    if jobs[0].status is JobStatus.RUNNING:
        end_job(store, jobs[0], JobStatus.STOPPED)
    budget = Budget(usd=known["budget_usd"], rollouts=known["max_rollouts"])
    return Search(task, known["engine"], budget, known["seed"], jobs[0].triggered_by, known["run_id"])


def end_job(store: Store, job: Job, status: JobStatus, spend: Spend | None = None) -> None:
    """Store that a job has ended."""
    job.status, job.finished_at = status, datetime.now(UTC)
    job.spend = spend or job.spend
    store.save_job(job)


def _is_estimate(job: Job) -> bool:
    """Whether a job came to its end before the search began, as a dry run does."""
    return job.status is JobStatus.COMPLETED and "sentence" not in job.result
