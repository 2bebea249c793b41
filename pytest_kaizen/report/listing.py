"""What a store holds, as text: runs, traces and calibrations, for the commands of these names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from textwrap import indent

from ..models import (
    Agreement,
    Calibration,
    Case,
    Interval,
    Message,
    Outcome,
    Run,
    Score,
    Span,
    TaskSummary,
    Trace,
)
from .text import changes_lines, part_text, safe_text, table, value_text

_STEP = "    "
_SHORT_REVISION = 10
_RUNS = "run", "started", "status", "revision", "tasks and scores", "samples", "cost", "gates"
_TASKS = (
    "task",
    "cases",
    "samples",
    "score",
    "passed",
    "prompt",
    "calls",
    "tokens",
    "cost",
    "p50",
    "p95",
    "gates",
)
_CASES = "case", "outcome", "samples", "score", "gates"
_TRACES = (
    "trace",
    "created",
    "task",
    "case",
    "sample",
    "calls",
    "tokens",
    "cost",
    "latency",
    "scores",
    "error",
)
_SCORES = "score", "value", "source", "reason"


def runs_table(runs: Sequence[Run]) -> str:
    """List runs, one a line."""
    if not runs:
        return "no runs yet"
    return safe_text(table(_RUNS, [_run_row(run) for run in runs]))


def run_text(run: Run, cases: Sequence[Case]) -> str:
    """Show one run: its facts, a table of tasks, one of cases, the gates that did not pass, notes."""
    parts = [
        _facts(
            ("run", run.id),
            ("started", _time(run.created_at)),
            ("finished", _time(run.finished_at)),
            ("status", _status(run)),
            ("revision", run.revision),
            ("branch", run.branch),
        )
    ]
    if run.tasks:
        parts.append(table(_TASKS, [_task_row(task) for task in run.tasks]))
    if cases:
        parts.append(table(_CASES, [_case_row(case) for case in cases]))
    gates = chain(*(task.gates for task in run.tasks), *(case.gates for case in cases))
    sentences = [f"{gate.outcome}: {gate.sentence}" for gate in gates if gate.outcome is not Outcome.PASS]
    changes = [line for task in run.tasks if task.changes for line in changes_lines(task.task, task.changes)]
    parts += ["\n".join(lines) for lines in (sentences, changes, run.notes) if lines]
    return safe_text("\n\n".join(parts))


def traces_table(traces: Sequence[Trace]) -> str:
    """List traces, one a line."""
    if not traces:
        return "no traces"
    return safe_text(table(_TRACES, [_trace_row(trace) for trace in traces]))


def found_table(found: Sequence[tuple[Trace, float, str | None]]) -> str:
    """List traces that a search found, one a line, each with how well it fits and where."""
    if not found:
        return "no traces"
    rows = [
        (trace.id, _time(trace.created_at), trace.task, f"{score:.2f}", text) for trace, score, text in found
    ]
    return safe_text(table(("trace", "created", "task", "fits", "text"), rows))


def trace_text(trace: Trace) -> str:
    """Show one trace: its facts, scores with reasons, and its spans with all messages."""
    judged = (("input", trace.input), ("output", trace.output), ("reference", trace.reference))
    parts = [_trace_facts(trace)]
    parts += [f"{name}\n{indent(value_text(value), _STEP)}" for name, value in judged if value is not None]
    if trace.scores:
        parts.append(table(_SCORES, [_score_row(score) for score in trace.scores]))
    depths = _depths(trace.spans)
    parts += [indent(span_text(span), _STEP * depths[span.id]) for span in trace.spans]
    return safe_text("\n\n".join(parts))


def trace_facts_text(trace: Trace) -> str:
    """Show what is known of a trace but its content."""
    return safe_text(_trace_facts(trace))


def _run_row(run: Run) -> tuple[object, ...]:
    return (
        run.id,
        _time(run.created_at),
        _status(run),
        run.revision and run.revision[:_SHORT_REVISION],
        ", ".join(f"{task.task} {_score(task.score, None) or ''}".rstrip() for task in run.tasks),
        sum(task.samples for task in run.tasks),
        _dollars(_total(task.cost_usd for task in run.tasks)),
        _outcomes(gate.outcome for task in run.tasks for gate in task.gates),
    )


def _task_row(task: TaskSummary) -> tuple[object, ...]:
    return (
        task.task,
        f"{task.cases} of {task.collected}" if task.cases != task.collected else task.cases,
        task.samples,
        _score(task.score, task.score_interval),
        None if task.pass_rate is None else f"{task.pass_rate:.0%}",
        task.prompts,
        task.calls,
        f"{task.input_tokens} in, {task.output_tokens} out",
        _dollars(task.cost_usd),
        _milliseconds(task.latency_p50_ms),
        _milliseconds(task.latency_p95_ms),
        _outcomes(gate.outcome for gate in task.gates),
    )


def _case_row(case: Case) -> tuple[object, ...]:
    scores = [sample.metrics["score"] for sample in case.samples if "score" in sample.metrics]
    return (
        case.id,
        case.outcome if case.complete else "incomplete",
        len(case.samples),
        f"{sum(scores) / len(scores):.3f}" if scores else None,
        _outcomes(gate.outcome for gate in case.gates),
    )


def _trace_row(trace: Trace) -> tuple[object, ...]:
    spans = trace.llm_spans
    return (
        trace.id,
        _time(trace.created_at),
        trace.task,
        trace.case_id or (trace.file and trace.file.filename),
        trace.sample,
        len(spans),
        _tokens(spans),
        _dollars(_total(span.cost_usd for span in spans)),
        _milliseconds(_total(span.latency_ms for span in spans)),
        ", ".join(f"{score.name} {_score_value(score)}" for score in trace.scores if not score.is_criterion),
        trace.error,
    )


def _trace_facts(trace: Trace) -> str:
    file = trace.file
    return _facts(
        ("trace", trace.id),
        ("name", trace.name),
        ("file", file and f"{file.file_type}, {file.size} bytes"),
        ("run", trace.run_id),
        ("task", trace.task),
        ("case", trace.case_id),
        ("sample", None if file else trace.sample),
        ("created", _time(trace.created_at)),
        ("error", trace.error),
    )


def _score_row(score: Score) -> tuple[object, ...]:
    return (score.name, _score_value(score), score.source, score.error or score.reason)


def span_text(span: Span) -> str:
    """Show one span with all its messages; what is in it is not made harmless."""
    facts = [
        f"{span.kind} {span.name}",
        span.model if span.model and span.model not in span.name else None,
        span.provider,
        _milliseconds(span.latency_ms),
        _tokens([span]),
        _dollars(span.cost_usd),
        f"{len(span.attempts)} attempts" if len(span.attempts) > 1 else None,
        "replayed" if span.replayed else None,
    ]
    lines = [" · ".join(fact for fact in facts if fact)]
    if span.error:
        lines.append(f"{_STEP}error: {span.error}")
    lines += [indent(_message_text(message), _STEP) for message in (*span.input, *span.output)]
    return "\n".join(lines)


def _message_text(message: Message) -> str:
    body = "\n".join(part_text(part) for part in message.parts)
    end = f"\n({message.finish_reason})" if message.finish_reason else ""
    return f"{message.role}:\n{indent(body + end, _STEP)}"


def _depths(spans: Sequence[Span]) -> dict[str, int]:
    """How deep each span lies in the tree; a parent comes before its children or not at all."""
    depths: dict[str, int] = {}
    for span in spans:
        depths[span.id] = depths.get(span.parent_id, -1) + 1 if span.parent_id else 0
    return depths


def _facts(*facts: tuple[str, object]) -> str:
    known = [(name, value) for name, value in facts if value is not None]
    width = max(len(name) for name, _ in known)
    return "\n".join(f"{name:{width}}  {value}" for name, value in known)


def _status(run: Run) -> str:
    status = run.status if run.kind == "tests" else f"{run.kind}, {run.status}"
    return status if run.exit_status is None else f"{status}, exit {run.exit_status}"


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return f"{moment.astimezone(UTC) if moment.tzinfo else moment:%Y-%m-%d %H:%M:%S}"


def _score(mean: float | None, interval: Interval | None) -> str | None:
    if mean is None or interval is None:
        return None if mean is None else f"{mean:.3f}"
    return f"{mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _score_value(score: Score) -> str:
    return "error" if score.value is None else f"{score.value:.2f}{score.votes_text}"


def _outcomes(outcomes: Iterable[Outcome]) -> str:
    found = [outcome.value for outcome in outcomes]
    return ", ".join(
        f"{found.count(outcome.value)} {outcome.value}" for outcome in Outcome if outcome in found
    )


def _tokens(spans: Sequence[Span]) -> str | None:
    sent = _total(span.usage.input_tokens for span in spans)
    received = _total(span.usage.output_tokens for span in spans)
    known = [f"{total:.0f} {name}" for total, name in ((sent, "in"), (received, "out")) if total is not None]
    return ", ".join(known) or None


def _dollars(amount: float | None) -> str | None:
    return None if amount is None else f"${amount:.4f}"


def _milliseconds(duration: float | None) -> str | None:
    return None if duration is None else f"{duration:.0f} ms"


def _total(values: Iterable[float | None]) -> float | None:
    """Add what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def calibration_text(calibration: Calibration) -> str:
    """Show how far a judge agrees with people: the figures with 95 % intervals, then who said what."""
    votes = f"{calibration.votes} vote{'s' * (calibration.votes != 1)}"
    labels = f"{calibration.labels} label{'s' * (calibration.labels != 1)}"
    parts = [
        f"rubric {calibration.rubric} ({calibration.rubric_sha256[:12]}), judge {calibration.model}, "
        f"{votes}, {labels}",
        table(("criterion", "accuracy", "kappa", "bias"), [_row(found) for found in calibration.criteria]),
    ]
    parts += [
        f"{found.name}: people's answers down, the judge's across\n{_confusion(found)}"
        for found in calibration.criteria
    ]
    return safe_text("\n\n".join(parts))


def calibrations_table(calibrations: Sequence[Calibration]) -> str:
    """List calibrations, one a line, each with the criterion that the judge agrees on least."""
    if not calibrations:
        return "no calibrations yet; make one: `kaizen judge calibrate LABELS.CSV --rubric RUBRIC`"
    rows = [
        (
            found.rubric,
            found.rubric_sha256[:12],
            found.model,
            found.votes,
            found.labels,
            found.weakest.name,
            found.weakest.kappa_text.removeprefix("kappa "),
            f"{found.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for found in calibrations
    ]
    headers = ("rubric", "sha256", "judge", "votes", "labels", "weakest", "kappa", "created")
    return safe_text(table(headers, rows))


def _row(found: Agreement) -> tuple[str, ...]:
    return (
        found.name,
        _with_interval(f"{found.accuracy:.2f}", found.accuracy_interval),
        found.kappa_text.removeprefix("kappa "),
        _with_interval(f"{found.bias:+.2f}", found.bias_interval),
    )


def _with_interval(figure: str, interval: Interval) -> str:
    return f"{figure} [{interval.low:.2f}, {interval.high:.2f}]"


def _confusion(found: Agreement) -> str:
    rows = [(answer, *counts) for answer, counts in zip(found.answers, found.confusion, strict=True)]
    return table(("", *found.answers), rows)
