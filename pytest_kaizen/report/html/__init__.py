"""Run → one HTML file that opens anywhere: styles, scripts and data within, nothing from anywhere else.

Texts of a run come from models and are hostile. They stand in the file as JSON, in which nothing can
end the element that holds it; scripts make text nodes of them, and the page's policy lets no other
script, style, image or connection be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ...models import BOUNDED_METRICS, BUDGET_METRICS, Case, GateResult, Run, TaskSummary, Trace
from ..as_json import META_KEYS, plain_values, run_document, trace_json
from ..terminal import all_passed, closing_line

#: A longer text is cut: the store has the whole of it, and the report stays one that opens.
LONGEST_TEXT = 20_000
_SHARE = re.compile(r"in ([\d.]+)% of samples$")
_NUMBER = re.compile(r"^[<>]= ([\d.]+)$")

#: In the order of the page. Charts: uPlot 1.6.32, MIT (vendor/uplot-LICENSE).
STYLES = ("vendor/uplot-1.6.32.min.css", "report.css")
SCRIPTS = ("vendor/uplot-1.6.32.min.js", "page.js", "charts.js", "trace.js", "cases.js", "report.js")


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


def run_html(
    run: Run,
    decided: Sequence[GateResult],
    failed_tasks: Sequence[GateResult],
    cases: Sequence[Case],
    history: Mapping[str, Sequence[Run]],
) -> str:
    """Build the page.

    Args:
        run: The finished run.
        decided: Every gate of the run that came to a verdict.
        failed_tasks: The gates on whole tasks that make the session fail.
        cases: The run's cases.
        history: Earlier whole runs of each task, the oldest first.
    """
    styles = [_asset(name) for name in STYLES]
    scripts = [_asset(name) for name in SCRIPTS]
    verdict = closing_line(run, decided, failed_tasks).removeprefix("kaizen: ")
    passed = all_passed(decided, failed_tasks) and not run.exit_status
    data = run_data(run, cases, history, passed=passed, verdict=verdict)
    lines = (
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(styles, scripts)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>kaizen report</title>",
        *(f"<style>{style}</style>" for style in styles),
        "<body>",
        "<noscript>This report draws itself by scripts of its own; they are switched off here.</noscript>",
        '<main id="page"></main>',
        _data("run", data),
        *(_data(f"case-{number}", case_data(case)) for number, case in enumerate(cases)),
        *(f"<script>{script}</script>" for script in scripts),
    )
    return "\n".join(lines) + "\n"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {' '.join(_hashes(styles))}",
            f"script-src {' '.join(_hashes(scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hashes(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(name: str, value: Any) -> str:
    # In ASCII; without "<" no text in it can end the element or begin a comment.
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="data-{name}">{text}</script>'
