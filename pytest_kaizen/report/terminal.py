"""Run → what stands at the end of a session's output; there, GitHub reads which lines of files to mark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..models import Case, GateResult, Interval, Outcome, Run, Sample, TaskSummary
from .text import changes_lines, plain, safe_text, score_text, table

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


_TERSE = ("task", "cases", "samples", "score", "prompt", "gate")
#: What goes first where the table is wider than the terminal: each of it is also in `kaizen runs show`.
_LEAST_NEEDED = ("tokens", "calls", "p50/p95", "samples", "cost", "pass", "prompt")

#: GitHub shows so many errors of a step and drops the rest.
MOST = 10


class Line(NamedTuple):
    """A line for the terminal, and the outcome that it tells of, which gives it its colour."""

    text: str
    outcome: Outcome | None = None


def summary_lines(run: Run, *, unstored: str | None, width: int | None = None) -> list[Line]:
    """Lay out a run: a row per task, then the sentence of every gate on a whole task.

    Args:
        run: The finished run.
        unstored: Why something of it is not in the store; None when everything is.
        width: The terminal's columns, for which those of the table make room; None for no limit.
    """
    lines = [Line(text) for text in _task_table(run.tasks, width)]
    lines += _gate_lines(run)
    for task in run.tasks:
        lines += [Line(text) for text in changes_lines(task.task, task.changes)] if task.changes else []
    lines += [Line(text) for text in notes_of(run)]
    return lines + _unstored(unstored)


def terse_lines(run: Run, *, unstored: str | None, with_table: bool = True) -> list[Line]:
    """Keep of ``summary_lines`` the gates that do not hold, and what was not stored.

    Args:
        run: The finished run.
        unstored: As in ``summary_lines``.
        with_table: A few columns of the table, too.
    """
    rows = _table_of(run.tasks, _TERSE) if with_table else []
    failing = [line for line in _gate_lines(run) if line.outcome is not Outcome.PASS]
    return [Line(text) for text in rows] + failing + _unstored(unstored)


def sample_lines(cases: Iterable[Case]) -> Iterator[Line]:
    """Lay out every sample of a run: its figures, every score with its reason, what went wrong."""
    for case in cases:
        ended = case.outcome if case.complete else "incomplete"
        yield Line(safe_text(f"{case.task}: {case.id} {ended}"))
        for sample in case.samples:
            yield from (Line(safe_text(text)) for text in _sample(sample))
        yield from (Line(f"  {safe_text(gate.sentence)}", gate.outcome) for gate in case.gates)


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


def _task_table(tasks: Sequence[TaskSummary], width: int | None) -> list[str]:
    shown, left_out = list(HEADERS), list[str]()
    lines = _table_of(tasks, shown)
    while width is not None and lines and len(lines[1]) > width and len(left_out) < len(_LEAST_NEEDED):
        left_out.append(_LEAST_NEEDED[len(left_out)])
        shown.remove(left_out[-1])
        lines = _table_of(tasks, shown)
    return lines + ([f"(no room for: {', '.join(left_out)})"] if left_out else [])


def _table_of(tasks: Sequence[TaskSummary], columns: Sequence[str]) -> list[str]:
    if not tasks:
        return []
    rows = [dict(zip(HEADERS, task_row(task), strict=True)) for task in tasks]
    return table(columns, [[row[name] for name in columns] for row in rows]).splitlines()


def _gate_lines(run: Run) -> list[Line]:
    return [
        Line(f"{task.task}: {plain(gate.sentence)}", gate.outcome)
        for task in run.tasks
        for gate in task.gates
    ]


def _unstored(why: str | None) -> list[Line]:
    if why is None:
        return []
    return [Line(f"NOT STORED: some samples of this run could not be written: {why}", Outcome.FAIL)]


def _sample(sample: Sample) -> Iterator[str]:
    trace = sample.trace
    spans = trace.llm_spans
    verdict = {True: "passed", False: "failed", None: "undecided"}[sample.passed]
    facts = [f"sample {trace.sample} {verdict}", f"trace {trace.id}"]
    facts += [f"score {sample.metrics['score']:.2f}"] if "score" in sample.metrics else []
    facts += [f"{task} v{version}" for task, (version, _) in sample.prompts.items()]
    if spans:
        usages = [span.usage for span in spans if span.usage]
        costs = [span.cost_usd for span in spans if span.cost_usd is not None]
        facts += [
            f"{len(spans)} call{'s' * (len(spans) != 1)}",
            f"{sum(u.input_tokens or 0 for u in usages)}/{sum(u.output_tokens or 0 for u in usages)} tokens",
            _money(math.fsum(costs) if costs else None, len(spans) - len(costs)),
            f"{math.fsum(span.latency_ms or 0 for span in spans):.0f} ms",
        ]
    yield "  " + ", ".join(facts)
    yield from (f"    {_one_line(score_text(score))}" for score in trace.scores)
    yield from (f"    no {name}: {_one_line(why)}" for name, why in sample.missing.items())
    yield from (f"    error: {_one_line(error)}" for error in (sample.error, trace.error) if error)


def _one_line(text: str) -> str:
    return " ".join(text.split())


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


class Annotation(NamedTuple):
    """A message at a line of a file.

    Attributes:
        file: Relative to the repository's root, with forward slashes.
        line: Counted from 1.
    """

    file: str
    line: int
    title: str
    message: str


def annotation_lines(annotations: Sequence[Annotation]) -> list[str]:
    """Write workflow commands, each of which must begin a line; the last says how many more there are."""
    shown = list(annotations[:MOST])
    if len(annotations) > MOST:
        last = shown[-1]
        more = f"{last.message} (and {len(annotations) - MOST} more gates did not pass)"
        shown[-1] = Annotation(last.file, last.line, last.title, more)
    return [
        f"::error file={_property(a.file)},line={a.line},title={_property(a.title)}::{_data(a.message)}"
        for a in shown
    ]


def _data(text: str) -> str:
    """Escape a message as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
