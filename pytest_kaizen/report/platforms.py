"""What servers keep, as text: tasks and feedback, experiments, behaviours and annotations, agents' runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .listing import traces_table
from .text import safe_text, table

if TYPE_CHECKING:
    from ..models import Trace
    from ..platforms.kaizen_ct import FeedbackResult
    from ..platforms.kaizen_ct.task_wire import Task as WireTask
    from ..platforms.kalmia import Analysis, Annotation, Behavior, Detected, Experiment, ExperimentMetrics
    from ..platforms.kate import Agent, EvalSummary, Run, Span


_SHOWN = 60
#: In the title, and in the last line.
_SAID_LAST = ("name", "feedback_count", "threshold_progress")
_NO_TASKS = "no tasks yet; log feedback about one: `kaizen feedback add --task NAME`"


def tasks_table(tasks: Sequence[WireTask]) -> str:
    """List tasks, one a line."""
    if not tasks:
        return _NO_TASKS
    rows = [
        (
            task.name,
            task.feedback_count,
            task.threshold_progress,
            task.target_model,
            (task.evaluator_config or {}).get("type", "judge"),
            f"{task.created_at:%Y-%m-%d %H:%M:%S}",
        )
        for task in tasks
    ]
    return safe_text(table(("task", "feedback", "since search", "model", "evaluator", "created"), rows))


def task_text(task: WireTask) -> str:
    """Show one task: what is set, and how much feedback it has."""
    values = task.to_json()
    shown = {name: value for name, value in values.items() if value is not None and name not in _SAID_LAST}
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in shown.items()
    ]
    fresh, _, threshold = task.threshold_progress.partition("/")
    progress = f"{fresh} of {threshold} since the last search"
    return safe_text(
        "\n".join([f"task {task.name}", *lines, f"feedback: {task.feedback_count} ({progress})"])
    )


def feedback_table(entries: Sequence[FeedbackResult]) -> str:
    """List entries, one a line."""
    if not entries:
        return "no feedback yet"
    rows = [
        (
            f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
            None if entry.score is None else f"{entry.score:.2f}",
            entry.source,
            _short(json.dumps(entry.inputs, ensure_ascii=False) if entry.inputs is not None else None),
            _short(entry.output),
        )
        for entry in entries
    ]
    return safe_text(table(("created", "score", "source", "inputs", "output"), rows))


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def experiments_table(experiments: Sequence[Experiment]) -> str:
    """List experiments, one a line."""
    if not experiments:
        return "no experiments yet; group traces to one: `kaizen experiments create NAME TRACE…`"
    rows = [
        (known.id, known.name, len(known.correlation_ids), _time(known.created_at)) for known in experiments
    ]
    return safe_text(table(("id", "experiment", "correlation ids", "created"), rows))


def experiment_text(experiment: Experiment, metrics: ExperimentMetrics, traces: Sequence[Trace]) -> str:
    """Show an experiment: its facts, its figures and its traces."""
    latency, share = metrics.latency_ms, metrics.error_rate
    listed = len(experiment.correlation_ids)
    facts = {
        "experiment": experiment.name,
        "id": experiment.id,
        "created": _time(experiment.created_at),
        "traces": f"{metrics.traces} of {listed} correlation id{'s' * (listed != 1)}",
        "errors": None if share is None else f"{metrics.errors} ({share:.0%})",
        "latency": None if latency.p50 is None else f"p50 {latency.p50:.0f} ms, p95 {latency.p95:.0f} ms",
        "tokens": _tokens(metrics),
        "cost": None if metrics.cost_usd is None else f"${metrics.cost_usd:.4f}",
    }
    facts |= {
        f"score {name}": f"{score.mean:.3f} over {score.n}" for name, score in sorted(metrics.score.items())
    }
    known = {name: value for name, value in facts.items() if value is not None}
    width = max(map(len, known))
    lines = "\n".join(f"{name:{width}}  {value}" for name, value in known.items())
    return f"{safe_text(lines)}\n\n{traces_table(traces)}"


def analysis_text(analysis: Analysis) -> str:
    """Show what a model found in the traces of an experiment."""
    if not analysis.insights:
        return "nothing was found"
    parts = []
    for insight in analysis.insights:
        lines = [f"- {insight.title}", insight.detail or "", f"traces: {', '.join(insight.trace_ids)}"]
        parts.append("\n  ".join(filter(None, lines)))
    return safe_text("\n\n".join(parts))


def detected_text(detected: Detected) -> str:
    """Show the annotations that a model made."""
    count = detected.checked
    looked = "" if count is None else f"{count} trace{'s' * (count != 1)} looked at\n\n"
    return f"{looked}{annotations_table(detected.annotations)}"


def behaviors_table(behaviors: Sequence[Behavior]) -> str:
    """List behaviours, one a line."""
    if not behaviors:
        return "no behaviours yet; define one: `kaizen behaviors create LABEL DESCRIPTION`"
    rows = [(known.label, known.description, _time(known.created_at)) for known in behaviors]
    return safe_text(table(("behaviour", "description", "created"), rows))


def annotations_table(annotations: Sequence[Annotation]) -> str:
    """List annotations, one a line."""
    if not annotations:
        return "no annotations"
    rows = [
        (
            known.trace_id,
            known.label,
            f"{known.confidence:.2f}",
            known.source,
            known.notes,
            _time(known.created_at),
        )
        for known in annotations
    ]
    return safe_text(table(("trace", "behaviour", "confidence", "source", "notes", "created"), rows))


def _tokens(metrics: ExperimentMetrics) -> str | None:
    if metrics.input_tokens is None and metrics.output_tokens is None:
        return None
    return f"{metrics.input_tokens or 0} in, {metrics.output_tokens or 0} out"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def agents_table(agents: Sequence[Agent]) -> str:
    """List agents, one a line."""
    if not agents:
        return "no agents yet; make one: `kaizen agents create NAME`"
    rows = [
        (known.id, known.name, known.domain, known.objective, _time(known.created_at)) for known in agents
    ]
    return safe_text(table(("id", "agent", "domain", "objective", "created"), rows))


def agent_runs_table(runs: Sequence[Run]) -> str:
    """List the runs of an agent, one a line."""
    if not runs:
        return "no runs yet"
    rows = [
        (
            run.id,
            run.status,
            run.trigger,
            None if run.overall_score is None else f"{run.overall_score:.3f}",
            _time(run.created_at),
            _time(run.completed_at),
        )
        for run in runs
    ]
    return safe_text(table(("run", "status", "trigger", "score", "created", "completed"), rows))


def summary_text(summary: EvalSummary) -> str:
    """Show what the evaluation of an agent's runs says."""
    score = summary.overall_score
    lines = [
        summary.intelligence_summary or "",
        "" if score is None else f"score: {score:.3f}",
        "the newest runs are worse than those before" if summary.regression_detected else "",
        *(f"- {' '.join(str(item).split())}" for item in summary.recommendations),
    ]
    return safe_text("\n".join(filter(None, lines)))


def steps_table(spans: Sequence[Span]) -> str:
    """List the spans of a run, one a line."""
    if not spans:
        return "no spans"
    rows = [
        (
            span.node_name,
            span.span_kind,
            span.model,
            None if span.latency_ms is None else f"{span.latency_ms:.0f} ms",
            span.token_count,
            span.output_text,
            span.error,
        )
        for span in spans
    ]
    return safe_text(table(("span", "kind", "model", "latency", "tokens", "output", "error"), rows))
