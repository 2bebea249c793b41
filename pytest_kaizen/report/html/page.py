"""Run → one HTML file: styles, scripts and data within, nothing from anywhere else.

Texts of a run come from models and are hostile. They stand in the file as JSON, in which nothing can
end the element that holds it; scripts make text nodes of them, and the page's policy lets no other
script, style, image or connection be.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ...models import Case, GateResult, Run
from ..terminal import all_passed, closing_line
from .data import case_data, run_data

#: In the order of the page. Charts: uPlot 1.6.32, MIT (vendor/uplot-LICENSE).
STYLES = ("vendor/uplot-1.6.32.min.css", "report.css")
SCRIPTS = ("vendor/uplot-1.6.32.min.js", "page.js", "charts.js", "trace.js", "cases.js", "report.js")


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
