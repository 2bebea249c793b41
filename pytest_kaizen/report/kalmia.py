"""Experiments, behaviours and annotations as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .listing import traces_table
from .table import table
from .text import safe_text

if TYPE_CHECKING:
    from ..models import Trace
    from ..platforms.kalmia import Analysis, Annotation, Behavior, Detected, Experiment, ExperimentMetrics


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
