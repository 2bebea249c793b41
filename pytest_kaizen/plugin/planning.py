"""Collection: markers → plans, before any LLM call, and whether the cases of a task are all there are.

A gate on a whole task may only be decided when every case of it ran. Cases that were collected and
then deselected (``-k``, ``--lf``) are known. Cases in files that the command line left out are not,
so those files are searched for the task's name.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from ..config import RECORD_MODES, Config, RecordMode
from ..errors import MarkerError
from ..gate import parse_requirement
from ..models import GateSpec, Scope
from ..pipeline import NO_TASK, CasePlan, PromptRule
from ..prompts import PromptLibrary
from . import options
from .case_run import SamplePlan, sample_plan

if TYPE_CHECKING:
    from ..score import Rubric

# To read a signature takes longer than all else that is done for a marker, and there are four.
_parameters = functools.cache(inspect.signature)


class Planner:
    """Makes the plan of each collected item; every rubric file is read once."""

    def __init__(self, config: Config, library: PromptLibrary) -> None:
        self._config = config
        self._library = library
        self._rubrics: dict[Path, Rubric] = {}
        self._checked_prompts: set[str] = set()

    def plan(self, item: pytest.Item) -> CasePlan:
        """Read an item's markers.

        Raises:
            UsageError: A marker has arguments that it does not take, or names a rubric or a prompt
                that is not there or is broken.
        """
        if not options.asks_for_kaizen(item):
            return CasePlan(case_id=item.nodeid, name=item.name)
        rules = self._prompt_rules(item)
        task = self._task(item, rules)
        gates = self._thresholds(item, task)
        rubrics: dict[Path, Rubric] = {}
        for mark in item.iter_markers("kaizen_rubric"):
            rubric, specs = self._rubric_marker(item, mark, task)
            rubrics[rubric.path] = rubric
            gates += specs
        if of_task := self._config.task(task).rubric:
            rubric = self._load(self._config.root / of_task)
            rubrics.setdefault(rubric.path, rubric)
        self._require_distinct(item, rubrics)
        gates = [gate.with_default_confidence(self._config.confidence) for gate in gates]
        return CasePlan(
            case_id=item.nodeid,
            name=item.name,
            task=task,
            asked=True,
            rubrics=tuple(rubrics.values()),
            gates=tuple(gates),
            prompt_rules=rules,
            task_metrics=frozenset(spec.metric for spec in self._config.task_gates if spec.task == task),
            **self._samples(item, gates)._asdict(),
            record=self._record(item),
        )

    def _samples(self, item: pytest.Item, gates: list[GateSpec]) -> SamplePlan:
        mark = item.get_closest_marker("kaizen")
        try:
            return sample_plan(item, self._config, gates, _bind(item, mark, _kaizen) if mark else {})
        except ValueError as exc:
            if mark is not None:
                raise _error(item, mark, str(exc)) from None
            raise MarkerError(f"{item.nodeid}: {exc}", path=item.path) from None

    def _task(self, item: pytest.Item, rules: tuple[PromptRule, ...]) -> str:
        mark = item.get_closest_marker("kaizen")
        if mark is not None:
            return _name(item, mark, _bind(item, mark, _kaizen)["task"])
        named = {rule.task for rule in rules}
        return named.pop() if len(named) == 1 else NO_TASK

    def _record(self, item: pytest.Item) -> RecordMode | None:
        mark = item.get_closest_marker("kaizen_record")
        if mark is None:
            return None
        mode = _bind(item, mark, _kaizen_record)["mode"]
        for valid in RECORD_MODES:
            if mode == valid:
                return valid
        raise _error(item, mark, f"mode: expected one of {', '.join(RECORD_MODES)} (found {mode!r})")

    def _prompt_rules(self, item: pytest.Item) -> tuple[PromptRule, ...]:
        rules = []
        for mark in item.iter_markers("kaizen_prompt"):
            arguments = _bind(item, mark, _kaizen_prompt)
            task = _name(item, mark, arguments["task"])
            text = arguments["requirement"]
            if not isinstance(text, str):
                raise _error(item, mark, f"requirement must be text such as '==3' (found {text!r})")
            try:
                requirement = parse_requirement(text)
            except ValueError as exc:
                raise _error(item, mark, str(exc)) from None
            if task not in self._checked_prompts:
                self._library.get(task)
                self._checked_prompts.add(task)
            rules.append(PromptRule(task, requirement, _origin(item, mark)))
        return tuple(rules)

    def _thresholds(self, item: pytest.Item, task: str) -> list[GateSpec]:
        specs = []
        for mark in item.iter_markers("kaizen_threshold"):
            arguments = _bind(item, mark, _kaizen_threshold)
            if arguments["max_drop"] is not None and task == NO_TASK:
                cure = 'say which task the test is a case of: @pytest.mark.kaizen("my_task")'
                raise _error(item, mark, f"max_drop: a baseline holds the cases of a task; {cure}")
            specs.append(_spec(item, mark, task, **arguments))
        return specs

    def _rubric_marker(
        self, item: pytest.Item, mark: pytest.Mark, task: str
    ) -> tuple[Rubric, list[GateSpec]]:
        arguments = _bind(item, mark, _kaizen_rubric)
        rubric = self._load(self._rubric_path(item, mark, arguments["path"]))
        bars = {} if arguments["each"] is None else arguments["each"]
        if not isinstance(bars, Mapping):
            raise _error(item, mark, f"each must map criteria to bars (found {bars!r})")
        names = [criterion.name for criterion in rubric.criteria]
        for name in bars:
            if name not in names:
                raise _error(
                    item,
                    mark,
                    f"each names '{name}', which is no criterion of {rubric.path.name}; "
                    f"its criteria: {', '.join(names)}",
                )
        for name, bar in {"min": arguments["min"], **bars}.items():
            if bar is None:
                raise _error(item, mark, f"{name}: expected a bar in [0, 1] (found None)")
        confidence = arguments["confidence"]
        metrics = {rubric.name: arguments["min"]} | {f"{rubric.name}.{n}": bar for n, bar in bars.items()}
        return rubric, [
            _spec(item, mark, task, metric=metric, min=bar, confidence=confidence)
            for metric, bar in metrics.items()
        ]

    def _rubric_path(self, item: pytest.Item, mark: pytest.Mark, path: Any) -> Path:
        if not isinstance(path, str | os.PathLike):
            raise _error(item, mark, f"path must be that of a rubric file (found {path!r})")
        places = [self._config.root / path, item.path.parent / path]
        for place in places:
            if place.is_file():
                return place
        raise _error(item, mark, f"no rubric at {places[0]}" + f" nor at {places[1]}" * (len({*places}) > 1))

    def _load(self, path: Path) -> Rubric:
        path = path.resolve()
        if path not in self._rubrics:
            # Not above: a suite without rubrics need not wait for it.
            from ..score import load_rubric

            self._rubrics[path] = load_rubric(path)
        return self._rubrics[path]

    def _require_distinct(self, item: pytest.Item, rubrics: Mapping[Path, Rubric]) -> None:
        paths: dict[str, Path] = {}
        for path, rubric in rubrics.items():
            if rubric.name in paths:
                raise MarkerError(
                    f"{item.nodeid}: {paths[rubric.name]} and {path} are both named '{rubric.name}', so "
                    "their scores could not be told apart; rename one",
                    path=item.path,
                )
            paths[rubric.name] = path


# The signatures of the markers, as users write them; only their parameters are used.
def _kaizen(
    task: str,
    *,
    samples: int | None = None,
    max_samples: int | None = None,
    concurrency: int | None = None,
    isolate: bool = False,
) -> None: ...


def _kaizen_prompt(task: str, requirement: str) -> None: ...


def _kaizen_record(mode: str) -> None: ...


def _kaizen_rubric(
    path: str,
    min: float = 0.8,  # noqa: A002
    each: Mapping[str, float] | None = None,
    confidence: float | None = None,
) -> None: ...


def _kaizen_threshold(
    metric: str,
    min: float | None = None,  # noqa: A002
    max: float | None = None,  # noqa: A002
    share: float | None = None,
    max_drop: float | None = None,
    confidence: float | None = None,
) -> None: ...


def _bind(item: pytest.Item, mark: pytest.Mark, signature: Callable[..., None]) -> dict[str, Any]:
    parameters = _parameters(signature)
    try:
        bound = parameters.bind(*mark.args, **mark.kwargs)
    except TypeError as exc:
        shown = ", ".join(p.name + _default(p) for p in parameters.parameters.values())
        raise _error(item, mark, f"{exc}; it takes ({shown})") from None
    bound.apply_defaults()
    return dict(bound.arguments)


def _name(item: pytest.Item, mark: pytest.Mark, task: Any) -> str:
    if not isinstance(task, str) or not task:
        raise _error(item, mark, f"task must be a name (found {task!r})")
    return task


def _default(parameter: inspect.Parameter) -> str:
    return "" if parameter.default is parameter.empty else f"={parameter.default}"


def _spec(item: pytest.Item, mark: pytest.Mark, task: str, **bar: Any) -> GateSpec:
    try:
        return GateSpec(scope=Scope.CASE, task=task, origin=_origin(item, mark), **bar)
    except ValidationError as exc:
        details = exc.errors()[0]
        where = ".".join(str(part) for part in details["loc"])
        problem = details["msg"].removeprefix("Value error, ")
        found = f" (found {details['input']!r})" if where else ""
        raise _error(item, mark, f"{where}: {problem}{found}" if where else problem) from None


def _origin(item: pytest.Item, mark: pytest.Mark) -> str:
    return f"{item.nodeid} @{mark.name}"


def _error(item: pytest.Item, mark: pytest.Mark, message: str) -> MarkerError:
    _, line, _ = item.reportinfo()
    return MarkerError(
        f"{item.name}: @pytest.mark.{mark.name}: {message}",
        path=item.path,
        line=None if line is None else line + 1,
    )


def left_out(config: pytest.Config, items: Iterable[pytest.Item], tasks: Iterable[str]) -> dict[str, str]:
    """Find tasks that have cases which this session did not collect.

    Args:
        config: pytest's configuration.
        items: Everything that was collected.
        tasks: The tasks in question.

    Returns:
        A reason by task, for the tasks that have more cases.
    """
    by_choice = config.args_source is pytest.Config.ArgsSource.ARGS
    ignoring = any(arg.startswith("--ignore") for arg in config.invocation_params.args)
    failed_only = _runs_last_failed(config)
    if not (by_choice or ignoring or failed_only):
        return {}
    wanted = [task for task in tasks if task]
    if not wanted:
        return {}
    partly = {
        (config.invocation_params.dir / arg.partition("::")[0]).resolve()
        for arg in config.args
        if "::" in arg
    }
    whole = set() if failed_only else {item.path.resolve() for item in items} - partly
    reasons: dict[str, str] = {}
    for path in _test_files(config):
        if path.resolve() in whole:
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for task in wanted:
            if task not in reasons and (f'"{task}"' in text or f"'{task}'" in text):
                shown = os.path.relpath(path, config.rootpath)
                reasons[task] = f"{shown} names the task too, and was not run as a whole"
    return reasons


def _runs_last_failed(config: pytest.Config) -> bool:
    """Whether ``--lf`` leaves something out; it takes single tests out of the files that it collects."""
    return config.getoption("lf", default=False) and bool(
        config.cache and config.cache.get("cache/lastfailed", {})
    )


def _test_files(config: pytest.Config) -> Iterator[Path]:
    patterns: list[str] = config.getini("python_files")
    skipped: list[str] = config.getini("norecursedirs")
    roots = [config.rootpath / path for path in config.getini("testpaths")] or [config.rootpath]
    for root in roots:
        if root.is_file():
            yield root
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not any(fnmatch.fnmatch(name, p) for p in skipped)]
            for name in files:
                if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                    yield Path(folder, name)
