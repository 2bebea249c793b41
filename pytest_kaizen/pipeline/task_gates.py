"""Tallies → verdicts on whole tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..gate import Family, SequentialTest, task_test
from ..models import GateResult, GateSpec, Outcome
from .baseline import Baselines
from .collected import Collected
from .tally import TaskTally


def task_verdicts(
    specs: Sequence[GateSpec],
    tallies: Mapping[str, TaskTally],
    collected: Collected,
    baselines: Baselines,
    family: Family | None,
) -> dict[str, list[GateResult]]:
    """Decide the gates on whole tasks.

    Args:
        specs: The gates; those of a task that has no tally are left out.
        tallies: The figures of the cases that ran to their end, by task.
        collected: What there was to run.
        baselines: What ``max_drop`` gates compare with.
        family: The gates of the session, if their errors are to hold over all of them.

    Returns:
        The results by task, in the order of the gates.
    """
    specs = [spec for spec in specs if spec.task in tallies]
    tests = _tests(specs, tallies, collected, baselines) if family else {}
    for task in {spec.task for spec in tests}:
        assert family is not None
        family.enter(f"task {task}", *(test for spec, test in tests.items() if spec.task == task))
    results: dict[str, list[GateResult]] = {}
    for spec in specs:
        tally = tallies[spec.task]
        count = collected.cases.get(spec.task, 0)
        verdict = family.verdict(tests[spec]) if family and spec in tests else None
        if spec.max_drop is None:
            result = tally.gate(spec, count, verdict=verdict, family=family)
        else:
            result = baselines.task_gate(spec, tally, count, verdict=verdict, family=family)
        results.setdefault(spec.task, []).append(_within(result, collected.beyond.get(spec.task)))
    return results


def _tests(
    specs: Sequence[GateSpec],
    tallies: Mapping[str, TaskTally],
    collected: Collected,
    baselines: Baselines,
) -> dict[GateSpec, SequentialTest]:
    """Run the sequential tests of the gates whose tasks ran as a whole."""
    tests = {}
    for spec in specs:
        tally = tallies[spec.task]
        ran_whole = (
            len(tally.cases) >= collected.cases.get(spec.task, 0) and spec.task not in collected.beyond
        )
        if spec.confidence is not None and ran_whole and tally.cases:
            tests[spec] = (
                task_test(spec, tally.values(spec.metric))
                if spec.max_drop is None
                else baselines.task_test(spec, tally)
            )
    return tests


def _within(result: GateResult, beyond: str | None) -> GateResult:
    """Take a verdict back that is on a part of the task's cases only."""
    if beyond is None or result.outcome is Outcome.NOT_RUN:
        return result
    sentence = f"{result.name}: not decided: {beyond}"
    return result.model_copy(update={"outcome": Outcome.NOT_RUN, "sentence": sentence})
