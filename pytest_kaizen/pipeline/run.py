"""One run: what is collected, what came of each case, what the whole comes to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from ..capture import Redactor
from ..config import Config, TaskConfig
from ..errors import StoreError
from ..gate import Family
from ..models import Case, GateResult, Outcome, Run, Sample, TaskChanges, TaskSummary
from ..prompts import PromptLibrary
from ..store import Store
from .baseline import Baselines, save_baselines, task_baseline
from .history import task_changes
from .judge import Calibrations, Replies
from .plan import CasePlan, Collected
from .provenance import checkout, ci_context
from .tally import TaskTally
from .verdicts import task_verdicts, weak_tasks, why_no_search
from .writer import RunWriter


def new_run(config: Config) -> Run:
    """Make the record of a run that begins now."""
    now = datetime.now(UTC)
    commit, branch, dirty = checkout(config.root)
    return Run(
        id=f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
        created_at=now,
        revision=commit,
        branch=branch,
        ci=ci_context(config.root, os.environ, (commit, branch, dirty)),
        config={
            "prompt_versions": dict(config.prompt_versions),
            "undecided": config.undecided,
            "record": config.record,
        },
    )


class RunBook:
    """Keeps the books of one run: figures of every case, in memory and without its texts.

    Attributes:
        run: The run's own record.
        writer: Puts the run into the store.
        collected: What there is to run.
        baselines: What the tasks are compared with.
        family: The gates of the session, if their errors are to hold over all of them.
        warnings: What is to be said in the report besides.
    """

    def __init__(self, config: Config, store: Store, library: PromptLibrary, redactor: Redactor) -> None:
        self._config = config
        self._store = store
        self._library = library
        self._redactor = redactor
        self.writer = RunWriter(store, library, redactor)
        self.collected = Collected()
        self.baselines = Baselines()
        self.family: Family | None = None
        self.warnings: list[str] = []
        self._tallies: dict[str, TaskTally] = {}
        self._replies: dict[str, Replies] = {}
        self._unstored_elsewhere: dict[str, str | None] = {}
        self.run = new_run(config)
        self._store.start_run(self.run)

    def start(self, collected: Collected) -> None:
        """Take in what was collected, and find the baselines.

        Raises:
            ConfigError: The baseline that is asked for is missing or malformed.
            StoreError: The store cannot be read.
        """
        self.collected = collected
        self.family = collected.family(self._config)
        self.baselines = Baselines.find(self._config, self._store, collected.tasks)

    @property
    def unstored(self) -> str | None:
        """Why something of this run is not on disk; None when everything is."""
        return self.writer.unstored or next(filter(None, self._unstored_elsewhere.values()), None)

    def hear(self, source: str, unstored: str | None, edited: Sequence[str]) -> None:
        """Take in what another process that works for this run says last of its own writer."""
        self._unstored_elsewhere[source] = unstored
        self.writer.edited += [line for line in edited if line not in self.writer.edited]

    def count(self, case: Case) -> None:
        """Take in a case that has come to its outcome; it counts if it ran to its end."""
        if not case.complete:
            return
        if case.task not in self._tallies:
            self._tallies[case.task] = TaskTally(case.task)
        if case.task not in self._replies:
            self._replies[case.task] = Replies()
        self._tallies[case.task].add(case, self._metrics(case.task))
        self._replies[case.task].add(case)

    def add_samples(self, case: Case, samples: Sequence[Sample]) -> None:
        """Take in further samples of a case that has come to its outcome."""
        self._tallies[case.task].add(
            case.model_copy(update={"samples": samples}), self._metrics(case.task), further=True
        )

    def samples_of(self, plan: CasePlan) -> int:
        """Return how many samples a case has."""
        figures = self._tallies[plan.task].cases.get(plan.case_id)
        return len(figures.metrics) if figures else 0

    def undecided(self) -> list[str]:
        """Return the tasks with a gate that further samples of all cases may decide."""
        specs = [spec for spec in self._config.task_gates if spec.confidence and spec.max_drop is None]
        gates = task_verdicts(specs, self._tallies, self.collected, self.baselines, self.family)
        return [
            task
            for task, results in sorted(gates.items())
            if any(result.outcome is Outcome.UNDECIDED and not result.missing for result in results)
        ]

    def finish(self, exit_status: int, status: str, fails: Callable[[GateResult], bool]) -> Run:
        """Decide the gates on whole tasks, and close the run in the store.

        Args:
            exit_status: How the session ends by its tests alone; 0 becomes 1 when a gate fails it.
            status: ``completed`` or ``interrupted``.
            fails: Whether a gate's result makes the session fail.
        """
        collected = self.collected.cases
        for task in {spec.task for spec in self._config.task_gates} & collected.keys():
            self._tallies.setdefault(task, TaskTally(task))
        gates = task_verdicts(
            self._config.task_gates, self._tallies, self.collected, self.baselines, self.family
        )
        self.run.tasks = [self._summary(tally, gates) for _, tally in sorted(self._tallies.items())]
        self.run.finished_at = datetime.now(UTC)
        failed = any(fails(result) for task in self.run.tasks for result in task.gates)
        self.run.exit_status = exit_status or int(failed)
        self.run.status = status
        self.writer.flush()
        self.run.notes = (
            self.warnings + self._judge_lines() + self._notes() + self.writer.edited + self._save_baseline()
        )
        self.writer.finish_run(self.run, self._weak(fails))
        return self.run

    def _weak(self, fails: Callable[[GateResult], bool]) -> list[str]:
        """Return the tasks that the platforms may spend money on."""
        weak = [task for task in weak_tasks(self.run, fails) if self._config.optimize_mode(task) != "never"]
        if self.run.status != "completed" or not weak:
            return []
        why = why_no_search(self.run.ci)
        if why is not None and self._config.searches_elsewhere:
            self.run.notes.append(f"{', '.join(weak)}: no search for a better prompt: {why}")
        return weak if why is None else []

    @property
    def decided_gates(self) -> list[GateResult]:
        """All gates of the run that came to a verdict."""
        of_cases = [result for tally in self._tallies.values() for result in tally.case_gates]
        of_tasks = [result for task in self.run.tasks for result in task.gates]
        return [result for result in of_cases + of_tasks if result.outcome is not Outcome.NOT_RUN]

    def _metrics(self, task: str) -> list[str]:
        """Return what the gates on a task look at."""
        return sorted({spec.metric for spec in self._config.task_gates if spec.task == task})

    def _summary(self, tally: TaskTally, gates: Mapping[str, list[GateResult]]) -> TaskSummary:
        collected = self.collected.cases.get(tally.task, 0)
        summary = tally.summary(max(collected, len(tally.cases)), gates.get(tally.task, []))
        summary.partial = self._partial(tally.task)
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

    def _partial(self, task: str) -> str | None:
        """Say why not every case of a task ran; None when all did."""
        collected = self.collected.cases.get(task, 0)
        tally = self._tallies.get(task)
        ran = len(tally.cases) if tally else 0
        if ran < collected:
            return f"{ran} of {collected} case{'s' * (collected != 1)} ran"
        return self.collected.beyond.get(task)

    def _save_baseline(self) -> list[str]:
        """Write the baseline file if every task ran as a whole; say what came of it."""
        if not self._config.save_baseline:
            return []
        gated = {spec.task for spec in self._config.task_gates} & self.collected.beyond.keys()
        tasks = sorted({*self.collected.tasks, *gated})
        reasons = {task: self._partial(task) for task in tasks}
        lacking = [f"{task}: {reason}" for task, reason in reasons.items() if reason is not None]
        if lacking or not tasks:
            why = "; ".join(lacking) or 'no test is a case of a task: mark one @pytest.mark.kaizen("my_task")'
            return [f"saves no baseline: {why}"]
        note = save_baselines(self._config, {task: self._tallies[task] for task in tasks}, self.run)
        return [note]

    def _judge_lines(self) -> list[str]:
        """Say how far the judge is to be trusted, and what the scores come to without its errors.

        And warn of replies that may have fooled it.
        """
        calibrations = Calibrations(self._store, self._config.judge)
        lines: dict[str, None] = {}
        for task, tally in sorted(self._tallies.items()):
            for rubric in self.collected.rubrics.get(task, ()):
                correction = calibrations.correction(rubric, tally.case_means(rubric.name))
                found = (calibrations.line(rubric), correction and f"{task}: {correction}")
                lines.update(dict.fromkeys(line for line in found if line))
            lines.update(dict.fromkeys(self._replies.get(task, Replies()).warnings(task)))
        return list(lines)

    def _notes(self) -> list[str]:
        return [
            f"task '{task}': {what} in this session: no test of it has @pytest.mark.kaizen(task=\"{task}\")"
            for task, settings in self._config.tasks.items()
            for what in _unused(settings)
            if task not in self.collected.cases and task not in self.collected.beyond
        ]


def _unused(settings: TaskConfig) -> list[str]:
    """Say what of a task came to nothing when no test has it."""
    rubric = [f"its rubric {settings.rubric} was never run"] if settings.rubric else []
    return rubric + (["its gate was never decided"] if settings.gate else [])
