"""What an HTML report holds: the figures of a run, and by case what its samples did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...models import BOUNDED_METRICS, BUDGET_METRICS, Case, GateResult, Run, TaskSummary, Trace
from ..run_document import run_document
from ..trace_json import META_KEYS, plain_values, trace_json

#: A longer text is cut: the store has the whole of it, and the report stays one that opens.
LONGEST_TEXT = 20_000
_SHARE = re.compile(r"in ([\d.]+)% of samples$")
_NUMBER = re.compile(r"^[<>]= ([\d.]+)$")


def run_data(
    run: Run, cases: Sequence[Case], history: Mapping[str, Sequence[Run]], *, passed: bool, verdict: str
) -> dict[str, Any]:
    """Gather what a report shows before a case is opened.

    Args:
        run: The finished run.
        cases: Its cases.
        history: Earlier whole runs of each task, the oldest first.
        passed: Whether nothing missed its bar.
        verdict: The run's verdict in one line.
    """
    document = plain_values(run_document(run, cases))
    for task, values in zip(run.tasks, document["tasks"], strict=True):
        values["criteria"] = criteria_of([case for case in cases if case.task == task.task])
        for gate, shown in zip(task.gates, values["gates"], strict=True):
            shown["limit"] = limit(gate)
        values["history"] = history_data(task.task, [*history.get(task.task, ()), run])
    return {"passed": passed, **_cut({**document, "verdict": verdict})}


def history_data(task: str, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Gather a task's figures over runs, for a trend: the figures by name, each with its interval.

    Args:
        task: The task.
        runs: The oldest first.
    """
    return [
        {"id": past.id, "at": past.created_at.isoformat(), "revision": past.revision, **_figures(summary)}
        for past in runs
        for summary in past.tasks
        if summary.task == task
    ]


def case_data(case: Case) -> list[dict[str, Any]]:
    """Give the traces of a case's samples the shape that ``--json`` has, without their file keys."""
    return [_trace(sample.trace) for sample in case.samples]


def limit(gate: GateResult) -> float | None:
    """Return the number that a gate's figure is compared with; None when its bar is no number."""
    if share := _SHARE.search(gate.bar):
        return float(share[1]) / 100
    number = _NUMBER.match(gate.bar)
    return float(number[1]) if number else None


def _trace(trace: Trace) -> dict[str, Any]:
    values = {key: value for key, value in trace_json(trace).items() if key not in META_KEYS}
    return {"id": trace.id, **_cut(values)}


def criteria_of(cases: Sequence[Case]) -> list[str]:
    """Name the scores of a task's samples, as they come first."""
    names = dict.fromkeys(name for case in cases for sample in case.samples for name in sample.metrics)
    return [name for name in names if name not in BOUNDED_METRICS + BUDGET_METRICS]


def _figures(task: TaskSummary) -> dict[str, Any]:
    score = {"figure": task.score, "interval": task.score_interval}
    return {
        "figures": {"score": score}
        | {gate.name: {"figure": gate.figure, "interval": gate.interval} for gate in task.gates}
    }


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        more = len(value) - LONGEST_TEXT
        return value if more <= 0 else f"{value[:LONGEST_TEXT]}… ({more} more characters in the store)"
    if isinstance(value, dict):
        return {_cut(key): _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list | tuple) else value
