"""Run → Markdown, for a pull request and a CI system's summary page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ..models import GateResult, Outcome, Run
from .changes import changes_lines
from .markdown import code, fenced, table_lines
from .terminal import HEADERS, all_passed, closing_line, notes_of, task_row

_MARKS = {
    Outcome.PASS: "\u2705",
    Outcome.FAIL: "\u274c",
    Outcome.UNDECIDED: "\u26a0\ufe0f",
    Outcome.NOT_RUN: "\u2796",
}
#: More than this nobody reads, and a pull request's text has its limits.
_MOST_CASES = 50


def run_markdown(run: Run, decided: Sequence[GateResult], failed_tasks: Sequence[GateResult]) -> str:
    """Lay out a run: the verdict, a row per task, the gates that did not pass, what changed.

    Args:
        run: The finished run.
        decided: Every gate of the run that came to a verdict.
        failed_tasks: The gates on whole tasks that make the session fail.
    """
    verdict = closing_line(run, decided, failed_tasks).removeprefix("kaizen: ")
    passed = all_passed(decided, failed_tasks)
    of_cases = [gate for gate in decided if gate.case_id is not None and gate.outcome is not Outcome.PASS]
    sections = (
        ["## kaizen", "", f"{_MARKS[Outcome.PASS if passed else Outcome.FAIL]} {code(verdict)}"],
        table_lines(HEADERS, [[code(cell) if cell else "" for cell in task_row(task)] for task in run.tasks])
        if run.tasks
        else [],
        [
            f"- {_MARKS[gate.outcome]} {code(f'{task.task}: {gate.sentence}')}"
            for task in run.tasks
            for gate in task.gates
        ],
        _cases(of_cases),
        _changes(run),
        [f"- {code(note)}" for note in notes_of(run)],
        [" \u00b7 ".join(_origin(run))],
    )
    return "\n".join(chain.from_iterable([*section, ""] for section in sections if section))


def _cases(gates: Sequence[GateResult]) -> list[str]:
    if not gates:
        return []
    rows = [[code(gate.case_id or ""), f"{_MARKS[gate.outcome]} {code(gate.sentence)}"] for gate in gates]
    more = len(rows) - _MOST_CASES
    return [
        "### Cases that missed a bar",
        "",
        *table_lines(("case", "gate"), rows[:_MOST_CASES]),
        *(["", f"and {more} more"] if more > 0 else []),
    ]


def _changes(run: Run) -> list[str]:
    lines = [line for task in run.tasks if task.changes for line in changes_lines(task.task, task.changes)]
    return ["### Since the baseline", "", *fenced("\n".join(lines), "diff")] if lines else []


def _origin(run: Run) -> list[str]:
    facts = (("run", run.id), ("revision", run.revision), ("branch", run.branch))
    return [f"{name} {code(value)}" for name, value in facts if value]
