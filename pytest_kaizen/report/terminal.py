"""Run → what stands at the end of a session's output."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import GateResult, Interval, Outcome, Run, TaskSummary
from .changes import changes_lines
from .plain import plain
from .table import table

#: The columns of a row of ``task_row``.
HEADERS = (
    "task",
    "cases",
    "samples",
    "score",
    "pass",
    "prompt",
    "calls",
    "tokens",
    "cost",
    "p50/p95",
    "gate",
)
_RANK = (Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_RUN, Outcome.PASS)


def summary_lines(run: Run, *, unstored: str | None) -> list[str]:
    """Lay out a run: a row per task, then the sentence of every gate on a whole task.

    Args:
        run: The finished run.
        unstored: Why something of it is not in the store; None when everything is.
    """
    lines: list[str] = []
    if run.tasks:
        lines += table(HEADERS, [task_row(task) for task in run.tasks]).splitlines()
    lines += [f"{task.task}: {plain(gate.sentence)}" for task in run.tasks for gate in task.gates]
    for task in run.tasks:
        lines += changes_lines(task.task, task.changes) if task.changes else []
    lines += notes_of(run)
    if unstored is not None:
        lines.append(f"NOT STORED: some samples of this run could not be written: {unstored}")
    return lines


def closing_line(run: Run, decided: Sequence[GateResult], failed_tasks: Sequence[GateResult]) -> str:
    """Make the session's last line.

    Args:
        run: The finished run.
        decided: Every gate of the run that came to a verdict.
        failed_tasks: The gates on whole tasks that make the session fail.
    """
    if failed_tasks:
        first = f"{failed_tasks[0].task}: {plain(failed_tasks[0].sentence)}"
        more = f" (and {len(failed_tasks) - 1} more)" if len(failed_tasks) > 1 else ""
        return f"kaizen: FAILED on a whole task: {first}{more}"
    if not decided:
        return "kaizen: no gate was decided in this session"
    bad = [gate for gate in decided if gate.outcome is not Outcome.PASS]
    cases = sum(task.cases for task in run.tasks)
    gates = f"{len(decided)} gates" if len(decided) != 1 else "1 gate"
    verdict = "all passed" if not bad else f"{len(bad)} not passed"
    return f"kaizen: {gates} decided over {cases} case{'s' * (cases != 1)}: {verdict} (run {run.id})"


def all_passed(decided: Sequence[GateResult], failed_tasks: Sequence[GateResult]) -> bool:
    """Whether no gate of a run missed its bar; the arguments are those of ``closing_line``."""
    return not failed_tasks and all(gate.outcome is Outcome.PASS for gate in decided)


def notes_of(run: Run) -> list[str]:
    """Say what goes with the figures of a run: costs that are not known, the judge's, the run's notes."""
    unpriced = [_unpriced(task) for task in run.tasks if task.unpriced]
    return unpriced + [_judging(task) for task in run.tasks if task.judge_calls] + run.notes


def task_row(task: TaskSummary) -> tuple[str, ...]:
    """Give a task's figures as cells."""
    return (
        task.task,
        str(task.cases) if task.cases >= task.collected else f"{task.cases} of {task.collected}",
        str(task.samples),
        _score(task.score, task.score_interval),
        "" if task.pass_rate is None else f"{task.pass_rate:.0%}",
        task.prompts,
        str(task.calls),
        f"{_short(task.input_tokens)}/{_short(task.output_tokens)}" if task.calls else "",
        _money(task.cost_usd, task.unpriced),
        _latency(task),
        _gates(task),
    )


def _score(score: float | None, interval: Interval | None) -> str:
    if score is None:
        return ""
    return f"{score:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else "")


def _short(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def _money(cost: float | None, unpriced: int) -> str:
    if cost is None:
        return "?" if unpriced else ""
    return f"${cost:.4f}" + ("+?" if unpriced else "")


def _latency(task: TaskSummary) -> str:
    if task.latency_p50_ms is None or task.latency_p95_ms is None:
        return ""
    return f"{task.latency_p50_ms:.0f}/{task.latency_p95_ms:.0f} ms"


def _gates(task: TaskSummary) -> str:
    """Show the worst outcome; how many gates on cases hold, of how many."""
    outcomes = {gate.outcome for gate in task.gates} | {Outcome(name) for name in task.case_gates}
    worst = next((outcome.value for outcome in _RANK if outcome in outcomes), "none")
    total = sum(task.case_gates.values())
    return f"{worst} ({task.case_gates.get(Outcome.PASS, 0)}/{total} on cases)" if total else worst


def _unpriced(task: TaskSummary) -> str:
    calls = f"{task.unpriced} call{'s' * (task.unpriced != 1)}"
    return f"{task.task}: the cost of {calls} is not known (no price or no usage); not counted as 0"


def _judging(task: TaskSummary) -> str:
    cost = "unknown cost" if task.judge_cost_usd is None else f"${task.judge_cost_usd:.4f}"
    return f"{task.task}: judged with {task.judge_calls} call{'s' * (task.judge_calls != 1)}, {cost}"
