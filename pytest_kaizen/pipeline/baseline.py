"""The baselines of a run: where they come from, the gates that compare with them, and their file.

The file is JSON that is committed beside the tests, in a stable order.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ..config import Config
from ..errors import ConfigError
from ..files import replace_text
from ..gate import (
    Family,
    Pair,
    SequentialTest,
    Verdict,
    case_drop_gate,
    case_rule,
    drop_gate,
    drop_test,
    without_baseline,
)
from ..models import BUDGET_METRICS, GateResult, GateSpec, MetricMean, Outcome, Run, TaskBaseline, UsedPrompt
from ..store import Store
from .tally import TaskTally

FORMAT = 1
# A quote inside a string is escaped, so that this fits nothing but the object of a score.
_MEAN = re.compile(r'\{\s+"mean": (\S+),\s+"samples": (\d+)\s+\}')
_FILE_CURE = "put it back from version control, or delete it and save it anew with --kaizen-save-baseline"

#: Means are kept to this many decimals: far below what a gate tells apart, without noise in diffs.
_DECIMALS = 12
_CURE = "save one with --kaizen-save-baseline"


class _File(BaseModel, defer_build=True):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    tasks: dict[str, TaskBaseline]


def read_baseline(path: Path) -> dict[str, TaskBaseline]:
    """Read a baseline file.

    Returns:
        The baselines by task.

    Raises:
        ConfigError: It is missing, unreadable or malformed: with the place and the cure.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            "no such file; save a baseline with --kaizen-save-baseline, or correct --kaizen-baseline",
            path=path,
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", path=path) from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ConfigError(f"not valid JSON: {exc.msg}; {_FILE_CURE}", path=path, line=exc.lineno) from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT or isinstance(found, bool):
        raise ConfigError(
            f"expected a baseline with 'format': {FORMAT} (found {found!r}); a higher number is of a newer "
            f"release of pytest-kaizen; else {_FILE_CURE}",
            path=path,
        )
    try:
        return _File.model_validate(data).tasks
    except ValidationError as exc:
        details = exc.errors()[0]
        where = ".".join(str(part) for part in details["loc"])
        raise ConfigError(f"{where}: {details['msg']}; {_FILE_CURE}", path=path) from None


def write_baseline(path: Path, tasks: Mapping[str, TaskBaseline]) -> None:
    """Write a baseline file; what was there stays whole until the new one is.

    Raises:
        OSError: It cannot be written.
    """
    values = {task: baseline.model_dump(mode="json") for task, baseline in tasks.items()}
    text = json.dumps({"format": FORMAT, "tasks": values}, indent=2, sort_keys=True)
    # A line a score, so that a change reads as one.
    text = _MEAN.sub(r'{"mean": \1, "samples": \2}', text)
    replace_text(path, f"{text}\n")


class FoundBaseline(NamedTuple):
    """The baseline of one task.

    Attributes:
        source: Where it is from, in words: ``kaizen-baseline.json``, ``run 20261122-…``.
    """

    source: str
    task: TaskBaseline


class Baselines:
    """What the tasks of a run are compared with.

    Args:
        found: The baselines by task.
        absent: Why a task has none.
        saving: This run is to save a baseline: where there is none yet, that is no fault.
    """

    def __init__(
        self, found: dict[str, FoundBaseline] | None = None, absent: str = "", *, saving: bool = False
    ) -> None:
        self._found = found or {}
        self._absent = absent
        self._saving = saving

    @classmethod
    def find(cls, config: Config, store: Store, tasks: Iterable[str]) -> Baselines:
        """Find the baselines that the configuration asks for.

        Args:
            config: Says where to look.
            store: Holds earlier runs.
            tasks: The tasks in question.

        Raises:
            ConfigError: The file is missing or malformed.
            StoreError: The store cannot be read.
        """
        if config.baseline_in_store:
            return cls._in_store(config, store, tasks)
        path, saving = config.baseline_file, config.save_baseline
        shown = path.relative_to(config.root) if path.is_relative_to(config.root) else path
        # The file that this run is to write, or that nobody named, need not be there.
        if not path.exists() and (saving or config.baseline is None):
            return cls(absent=f"no baseline: {_CURE}", saving=saving)
        found = {
            task: FoundBaseline(shown.as_posix(), baseline) for task, baseline in read_baseline(path).items()
        }
        absent = f"no baseline: {shown.as_posix()} does not hold this task: {_CURE}"
        return cls(found, absent, saving=saving)

    @classmethod
    def _in_store(cls, config: Config, store: Store, tasks: Iterable[str]) -> Baselines:
        _, _, branch = (config.baseline or "").partition(":")
        found = {}
        for task in tasks:
            run = store.last_whole_run(task, branch or None)
            if run is not None:
                tally = TaskTally(task)
                for case in store.cases(run.id):
                    if case.task == task and case.complete:
                        tally.add(case, ())
                found[task] = FoundBaseline(f"run {run.id}", task_baseline(tally, run))
        of_branch = f" of branch '{branch}'" if branch else ""
        absent = f"no baseline: the store holds no run{of_branch} that completed all cases of this task"
        return cls(found, absent, saving=config.save_baseline)

    def of(self, task: str) -> FoundBaseline | None:
        """Return the baseline of a task; None when there is none."""
        return self._found.get(task)

    def case_rule(self, spec: GateSpec, case_id: str) -> GateSpec | None:
        """Turn a ``max_drop`` rule on a case into the bar that its samples must reach.

        None when there is nothing to compare with.
        """
        found = self.of(spec.task)
        before = found.task.cases.get(case_id, {}).get(spec.metric) if found else None
        return None if before is None else case_rule(spec, before.mean)

    def case_gate(
        self,
        spec: GateSpec,
        values: Sequence[float | None],
        *,
        case_id: str,
        missing: Sequence[str],
        planned: int | None = None,
        verdict: Verdict | None = None,
        family: Family | None = None,
    ) -> GateResult:
        """Decide a ``max_drop`` gate on one case; a case that is new since decides nothing."""
        found = self.of(spec.task)
        if found is None:
            return self._none(spec, case_id=case_id)
        case = found.task.cases.get(case_id)
        if case is None:
            why = f"the case is new since {found.source}"
            return without_baseline(spec, why, outcome=Outcome.NOT_RUN, case_id=case_id)
        if spec.metric not in case:
            return self._none(spec, _no_metric(spec, found), case_id=case_id)
        return case_drop_gate(
            spec,
            values,
            case[spec.metric].mean,
            case_id=case_id,
            missing=missing,
            planned=planned,
            verdict=verdict,
            family=family,
        )

    def task_gate(
        self,
        spec: GateSpec,
        tally: TaskTally,
        collected: int,
        *,
        verdict: Verdict | None = None,
        family: Family | None = None,
    ) -> GateResult:
        """Decide a ``max_drop`` gate on a whole task, paired by case."""
        found = self.of(spec.task)
        before = {} if found is None else means_of(found.task, spec.metric)
        now = tally.cases.keys()
        result = drop_gate(
            spec,
            self._pairs(spec, tally),
            collected=collected,
            ran=len(now),
            new=[case_id for case_id in now if case_id not in before],
            removed=[case_id for case_id in before if case_id not in now],
            missing=tally.reasons(spec.metric),
            verdict=verdict,
            family=family,
        )
        if result.outcome is Outcome.NOT_RUN or before:
            return result
        return self._none(spec, "" if found is None else _no_metric(spec, found))

    def task_test(self, spec: GateSpec, tally: TaskTally) -> SequentialTest:
        """Run the sequential test of a ``max_drop`` gate on a whole task."""
        return drop_test(spec, self._pairs(spec, tally))

    def _pairs(self, spec: GateSpec, tally: TaskTally) -> dict[str, Pair]:
        """Return the means now and before of the cases that stand in both."""
        found = self.of(spec.task)
        before = {} if found is None else means_of(found.task, spec.metric)
        return {
            case_id: (_whole_mean(values), before[case_id])
            for case_id, values in tally.values(spec.metric).items()
            if case_id in before
        }

    def _none(self, spec: GateSpec, why: str = "", *, case_id: str | None = None) -> GateResult:
        if self._saving:
            why = "there is no baseline for it yet; this run is to save one"
            return without_baseline(spec, why, outcome=Outcome.NOT_RUN, case_id=case_id)
        return without_baseline(spec, why or self._absent, case_id=case_id)


def task_baseline(tally: TaskTally, run: Run) -> TaskBaseline:
    """Make the baseline that a run is for one of its tasks.

    Budgets are left out: they are no scores, and latency would change at every saving.
    """
    figures = tally.cases.values()
    return TaskBaseline(
        created=run.created_at.date(),
        revision=run.revision,
        prompts=tuple(
            UsedPrompt(version=version, sha256=sha256)
            for version, sha256 in sorted({used for case in figures for used in case.prompts})
        ),
        models=tuple(sorted({model for case in figures for model in case.models})),
        judges=tuple(sorted({model for case in figures for model in case.judges})),
        rubrics={name: sha256 for case in figures for name, sha256 in case.rubrics.items()},
        cases={case_id: _case_means(case.metrics) for case_id, case in tally.cases.items()},
    )


def save_baselines(config: Config, tallies: Mapping[str, TaskTally], run: Run) -> str:
    """Write the baseline file, and return a line that says so, or why it could not be written.

    Tasks of the file that this run has no case of stay as they are.
    """
    path = config.baseline_file
    tasks = {task: task_baseline(tally, run) for task, tally in tallies.items()}
    try:
        kept = read_baseline(path) if path.exists() else {}
        write_baseline(path, {**kept, **tasks})
    except (OSError, ConfigError) as exc:
        return f"NOT SAVED: the baseline could not be written: {exc}"
    cases = sum(len(baseline.cases) for baseline in tasks.values())
    failed = " (though this run failed)" if run.exit_status else ""
    return (
        f"saved the baseline of {', '.join(tasks)}, {cases} case{'s' * (cases != 1)}, to {path.name}{failed}"
    )


def means_of(baseline: TaskBaseline, metric: str) -> dict[str, float]:
    """Return the mean of a metric of each case that has it."""
    return {case_id: metrics[metric].mean for case_id, metrics in baseline.cases.items() if metric in metrics}


def _case_means(samples: Sequence[dict[str, float]]) -> dict[str, MetricMean]:
    names = sorted({name for metrics in samples for name in metrics} - {*BUDGET_METRICS})
    return {
        name: MetricMean(mean=round(math.fsum(values) / len(values), _DECIMALS), samples=len(values))
        for name in names
        if (values := [metrics[name] for metrics in samples if name in metrics])
    }


def _whole_mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None when a sample lacks its value, which may have been the lowest."""
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if values and len(present) == len(values) else None


def _no_metric(spec: GateSpec, found: FoundBaseline) -> str:
    return f"no baseline: {found.source} holds no '{spec.metric}' for it: {_CURE}"
