"""One run: what is collected, what came of each case, what the whole comes to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from ..config import Config, TaskConfig
from ..errors import StoreError
from ..models import Case, GateResult, Outcome, Run, Sample
from ..prompts import PromptLibrary
from ..store import Store
from .plan import CasePlan
from .revision import revision
from .tally import TaskTally


class RunBook:
    """Keeps the books of one run: every sample goes to the store at once, figures stay in memory.

    A store that fails in the middle of a run (a full disk) changes no verdict: what could not be
    written is kept in memory and written again with the next sample and at the end.

    Attributes:
        run: The run's own record.
        plans: What was collected, by case id, whether or not it runs.
        unstored: Why something of this run is not on disk; None when everything is.
        beyond: Reasons why the collected cases are not all there are, by task.
    """

    def __init__(self, config: Config, store: Store, library: PromptLibrary) -> None:
        self._config = config
        self._store = store
        self._library = library
        self.plans: dict[str, CasePlan] = {}
        self.beyond: Mapping[str, str] = {}
        self.unstored: str | None = None
        self._pending: list[Callable[[], None]] = []
        self._tallies: dict[str, TaskTally] = {}
        self._recorded_prompts: set[tuple[str, int]] = set()
        self._edited: list[str] = []
        now = datetime.now(UTC)
        commit, branch = revision(config.root)
        self.run = Run(
            id=f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
            created_at=now,
            revision=commit,
            branch=branch,
            config={"prompt_versions": dict(config.prompt_versions), "undecided": config.undecided},
        )

    def start(self, plans: Iterable[CasePlan], beyond: Mapping[str, str]) -> None:
        """Open the run in the store.

        Args:
            plans: Every case that the session collected, also those it then deselected.
            beyond: By task, why there are cases that this session never collected.

        Raises:
            StoreError: The store cannot be written.
        """
        self.plans = {plan.case_id: plan for plan in plans}
        self.beyond = beyond
        self._store.start_run(self.run)

    def start_case(self, case: Case) -> None:
        """Store that a case begins; the first sample of a rerun begins it anew."""
        self._write(partial(self._store.start_case, case.model_copy()))

    def add_sample(self, case: Case, sample: Sample) -> None:
        """Store a sample, and the prompt versions it used."""
        self._write(partial(self._store_sample, case.model_copy(), sample))

    def finish_case(self, case: Case) -> None:
        """Store a case's outcome, and count it if it ran to its end."""
        self._write(partial(self._store.finish_case, case))
        plan = self.plans.get(case.id)
        if not case.complete:
            return
        self._tallies.setdefault(case.task, TaskTally(case.task)).add(
            case, sorted(plan.task_metrics) if plan else ()
        )

    def finish(self, exit_status: int, status: str, fails: Callable[[GateResult], bool]) -> Run:
        """Decide the gates on whole tasks, and close the run in the store.

        Args:
            exit_status: How the session ends by its tests alone; 0 becomes 1 when a gate fails it.
            status: ``completed`` or ``interrupted``.
            fails: Whether a gate's result makes the session fail.
        """
        collected: dict[str, int] = {}
        for plan in self.plans.values():
            if plan.asked:
                collected[plan.task] = collected.get(plan.task, 0) + 1
        for task in {spec.task for spec in self._config.task_gates} & collected.keys():
            self._tallies.setdefault(task, TaskTally(task))
        self.run.tasks = [
            tally.summary(
                max(collected.get(task, 0), len(tally.cases)),
                self._task_gates(tally, collected.get(task, 0)),
            )
            for task, tally in sorted(self._tallies.items())
        ]
        self.run.finished_at = datetime.now(UTC)
        failed = any(fails(result) for task in self.run.tasks for result in task.gates)
        self.run.exit_status = exit_status or int(failed)
        self.run.status = status
        self._flush()
        self.run.notes = self._notes(collected) + self._edited
        try:
            self._store.finish_run(self.run)
        except StoreError as exc:
            self.unstored = str(exc)
        return self.run

    @property
    def decided_gates(self) -> list[GateResult]:
        """All gates of the run that came to a verdict."""
        of_cases = [result for tally in self._tallies.values() for result in tally.case_gates]
        of_tasks = [result for task in self.run.tasks for result in task.gates]
        return [result for result in of_cases + of_tasks if result.outcome is not Outcome.NOT_RUN]

    def _task_gates(self, tally: TaskTally, collected: int) -> list[GateResult]:
        specs = [spec for spec in self._config.task_gates if spec.task == tally.task]
        results = [tally.gate(spec, collected) for spec in specs]
        reason = self.beyond.get(tally.task)
        if reason is None:
            return results
        return [
            result
            if result.outcome is Outcome.NOT_RUN
            else result.model_copy(
                update={"outcome": Outcome.NOT_RUN, "sentence": f"{result.name}: not decided: {reason}"}
            )
            for result in results
        ]

    def _notes(self, collected: Mapping[str, int]) -> list[str]:
        return [
            f"task '{task}': {what} in this session: no test of it has @pytest.mark.kaizen(task=\"{task}\")"
            for task, settings in self._config.tasks.items()
            for what in _unused(settings)
            if task not in collected and task not in self.beyond
        ]

    def _write(self, operation: Callable[[], None]) -> None:
        self._pending.append(operation)
        self._flush()

    def _flush(self) -> None:
        while self._pending:
            try:
                self._pending[0]()
            except StoreError as exc:
                self.unstored = str(exc)
                return
            del self._pending[0]
        self.unstored = None

    def _store_sample(self, case: Case, sample: Sample) -> None:
        self._record_prompts(sample)
        self._store.add_sample(case, sample)

    def _record_prompts(self, sample: Sample) -> None:
        for task, (number, sha256) in sample.prompts.items():
            if (task, number) in self._recorded_prompts:
                continue
            recorded = {version.version: version.sha256 for version in self._store.prompts(task)}
            if recorded.get(number, sha256) == sha256:
                versions = self._library.versions(task)
                self._store.save_prompts(version for version in versions if version.version == number)
            else:
                # The sample says by its hash what it used; the record of the version stays as it is.
                self._edited.append(
                    f"prompt '{task}' v{number} was edited since an earlier run recorded it (sha256 "
                    f"{recorded[number][:8]} then, {sha256[:8]} now); scores under one number no longer "
                    f"mean one text: put the text back and make a new version: `kaizen prompts new {task}`"
                )
            self._recorded_prompts.add((task, number))


def _unused(settings: TaskConfig) -> list[str]:
    """Say what of a task came to nothing when no test has it."""
    rubric = [f"its rubric {settings.rubric} was never run"] if settings.rubric else []
    return rubric + (["its gate was never decided"] if settings.gate else [])
