"""One run: what is collected, what came of each case, what the whole comes to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from ..capture import Redactor
from ..config import Config, TaskConfig
from ..errors import StoreError
from ..models import Case, GateResult, Outcome, Run, Sample, TaskChanges, TaskSummary
from ..prompts import PromptLibrary
from ..store import Store
from .baseline import Baselines, save_baselines, task_baseline
from .calibrations import Calibrations
from .changes import task_changes
from .plan import NO_TASK, CasePlan
from .replies import Replies
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
        baselines: What the tasks are compared with.
    """

    def __init__(self, config: Config, store: Store, library: PromptLibrary, redactor: Redactor) -> None:
        self._config = config
        self._store = store
        self._library = library
        self._redactor = redactor
        self.plans: dict[str, CasePlan] = {}
        self.beyond: Mapping[str, str] = {}
        self.baselines = Baselines()
        self.unstored: str | None = None
        self._pending: list[Callable[[], None]] = []
        self._tallies: dict[str, TaskTally] = {}
        self._replies: dict[str, Replies] = {}
        self._recorded_prompts: set[tuple[str, int]] = set()
        self._edited: list[str] = []
        now = datetime.now(UTC)
        commit, branch = revision(config.root)
        self.run = Run(
            id=f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
            created_at=now,
            revision=commit,
            branch=branch,
            config={
                "prompt_versions": dict(config.prompt_versions),
                "undecided": config.undecided,
                "record": config.record,
            },
        )

    def start(self, plans: Iterable[CasePlan], beyond: Mapping[str, str]) -> None:
        """Find the baselines, and open the run in the store.

        Args:
            plans: Every case that the session collected, also those it then deselected.
            beyond: By task, why there are cases that this session never collected.

        Raises:
            ConfigError: The baseline that is asked for is missing or malformed.
            StoreError: The store cannot be written.
        """
        self.plans = {plan.case_id: plan for plan in plans}
        self.beyond = beyond
        tasks = {plan.task for plan in self.plans.values() if plan.asked and plan.task != NO_TASK}
        self.baselines = Baselines.find(self._config, self._store, sorted(tasks))
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
        self._replies.setdefault(case.task, Replies()).add(case)

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
            self._summary(tally, collected.get(task, 0)) for task, tally in sorted(self._tallies.items())
        ]
        self.run.finished_at = datetime.now(UTC)
        failed = any(fails(result) for task in self.run.tasks for result in task.gates)
        self.run.exit_status = exit_status or int(failed)
        self.run.status = status
        self._flush()
        self.run.notes = (
            self._judge_lines() + self._notes(collected) + self._edited + self._save_baseline(collected)
        )
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

    def _summary(self, tally: TaskTally, collected: int) -> TaskSummary:
        summary = tally.summary(max(collected, len(tally.cases)), self._task_gates(tally, collected))
        summary.partial = self._partial(tally.task, collected)
        summary.changes = self._changes(tally, whole=summary.partial is None)
        return summary

    def _changes(self, tally: TaskTally, *, whole: bool) -> TaskChanges | None:
        found = self.baselines.of(tally.task)
        if found is None:
            return None
        return task_changes(
            found.task,
            task_baseline(tally, self.run),
            since=found.source,
            whole=whole,
            text_of=partial(self._prompt_text, tally.task),
        )

    def _prompt_text(self, task: str, sha256: str) -> str | None:
        """Find the text of a prompt version, in the files or as an earlier run recorded it."""
        versions = self._library.versions(task) if self._library.numbers(task) else []
        with suppress(StoreError):
            versions += self._store.prompts(task)
        texts = (version.text for version in versions if version.sha256 == sha256)
        return next(map(self._redactor.text, texts), None)

    def _partial(self, task: str, collected: int) -> str | None:
        """Say why not every case of a task ran; None when all did."""
        tally = self._tallies.get(task)
        ran = len(tally.cases) if tally else 0
        if ran < collected:
            return f"{ran} of {collected} case{'s' * (collected != 1)} ran"
        return self.beyond.get(task)

    def _save_baseline(self, collected: Mapping[str, int]) -> list[str]:
        """Write the baseline file if every task ran as a whole; say what came of it."""
        if not self._config.save_baseline:
            return []
        gated = {spec.task for spec in self._config.task_gates} & self.beyond.keys()
        tasks = sorted((collected.keys() - {NO_TASK}) | gated)
        reasons = {task: self._partial(task, collected.get(task, 0)) for task in tasks}
        lacking = [f"{task}: {reason}" for task, reason in reasons.items() if reason is not None]
        if lacking or not tasks:
            why = "; ".join(lacking) or 'no test is a case of a task: mark one @pytest.mark.kaizen("my_task")'
            return [f"saves no baseline: {why}"]
        note = save_baselines(self._config, {task: self._tallies[task] for task in tasks}, self.run)
        return [note]

    def _task_gates(self, tally: TaskTally, collected: int) -> list[GateResult]:
        specs = [spec for spec in self._config.task_gates if spec.task == tally.task]
        results = [
            tally.gate(spec, collected)
            if spec.max_drop is None
            else self.baselines.task_gate(spec, tally, collected)
            for spec in specs
        ]
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

    def _judge_lines(self) -> list[str]:
        """Say how far the judge is to be trusted, and what the scores come to without its errors.

        And warn of replies that may have fooled it.
        """
        calibrations = Calibrations(self._store, self._config.judge)
        lines: dict[str, None] = {}
        for task, tally in sorted(self._tallies.items()):
            plans = [self.plans[case_id] for case_id in tally.cases if case_id in self.plans]
            rubrics = {rubric.path: rubric for plan in plans for rubric in plan.rubrics}
            for rubric in rubrics.values():
                correction = calibrations.correction(rubric, tally.case_means(rubric.name))
                found = (calibrations.line(rubric), correction and f"{task}: {correction}")
                lines.update(dict.fromkeys(line for line in found if line))
            lines.update(dict.fromkeys(self._replies.get(task, Replies()).warnings(task)))
        return list(lines)

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
                self._store.save_prompts(
                    version.model_copy(update={"text": self._redactor.text(version.text)})
                    for version in versions
                    if version.version == number
                )
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
