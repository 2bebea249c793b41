"""Agents and the runs that are reported of them, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .table import table
from .text import safe_text

if TYPE_CHECKING:
    from ..platforms.kate import Agent, EvalSummary, Run, Span


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


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
