"""The HTML report in a real browser, with hostile text in every field."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

import pytest_kaizen.report.html.page as module
from pytest_kaizen.models import (
    Attempt,
    Case,
    Fall,
    GateResult,
    Interval,
    Message,
    Outcome,
    Part,
    Run,
    Sample,
    Scope,
    Score,
    ScoreSource,
    Span,
    TaskChanges,
    TaskSummary,
    Trace,
)

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")

AT = datetime(2026, 1, 2, tzinfo=UTC)
ATTACK = """<img src=x onerror="document.title='TAKEN'">"""
HOSTILE = f"</script><script>document.title='TAKEN'</script>{ATTACK}<!--\"'\x1b[31m\u202e&lt;{{{{"
HUGE = "x" * 60_000
#: Opens everything that can be opened, for as long as there is more.
OPEN_ALL = """
setInterval(() => document.querySelectorAll("details").forEach((box) => { box.open = true; }), 20);
"""


class Dump(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("script", "style", "meta"):
            self.texts += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Open a page at its first case; gives its elements as text, and what the console showed."""

    def browse(page: str) -> tuple[str, str]:
        file = tmp_path / "page.html"
        file.write_text(page, encoding="utf-8")
        options = (
            "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
            "disable-component-update disable-sync enable-logging=stderr virtual-time-budget=3000 dump-dom"
        )
        command = [str(CHROMIUM), *(f"--{option}" for option in options.split())]
        command += [f"--user-data-dir={tmp_path / 'user'}", f"{file.as_uri()}#case-0"]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        log = done.stderr.decode("utf-8", "replace").splitlines()
        return done.stdout.decode("utf-8"), "\n".join(line for line in log if "CONSOLE" in line)

    return browse


def hostile_span(**more: object) -> Span:
    parts = [
        Part(type="text", content=HOSTILE),
        Part(type="reasoning", content=HOSTILE),
        Part.model_validate({"type": "tool_call", "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}),
        Part.model_validate({"type": "tool_call_response", "response": HOSTILE}),
        Part.model_validate({"type": HOSTILE, "uri": HOSTILE}),
    ]
    message = Message(role=HOSTILE, parts=parts, finish_reason=HOSTILE)
    attempts = [Attempt(started_at=AT, error=HOSTILE), Attempt(started_at=AT, status=200)]
    values = {
        "id": HOSTILE,
        "name": HOSTILE,
        "provider": HOSTILE,
        "model": HOSTILE,
        "input": [message],
        "output": [message],
        "started_at": AT,
        "latency_ms": 5.0,
        "attempts": attempts,
        "error": HOSTILE,
        "metadata": {HOSTILE: [HOSTILE, HUGE]},
    }
    return Span.model_validate(values | more)


def hostile_page() -> str:
    gate = GateResult(
        scope=Scope.TASK,
        task=HOSTILE,
        case_id=HOSTILE,
        name=HOSTILE,
        figure=0.5,
        interval=Interval(0.25, 0.75),
        bar=">= 0.80",
        outcome=Outcome.FAIL,
        sentence=HOSTILE,
        origin=HOSTILE,
    )
    fall = Fall(name=HOSTILE, before=0.9, now=0.1)
    changes = TaskChanges(
        since=HOSTILE,
        paired=1,
        score=fall,
        cases=[fall],
        criteria=[fall],
        facts=[(HOSTILE, HOSTILE, HOSTILE)],
        prompt_diff=[f"+{HOSTILE}", f"-{HOSTILE}"],
        new=[HOSTILE],
        removed=[HOSTILE],
    )
    task = TaskSummary(
        task=HOSTILE,
        cases=1,
        collected=2,
        samples=2,
        score=0.5,
        prompts=HOSTILE,
        gates=[gate],
        partial=HOSTILE,
        changes=changes,
    )
    run = Run(
        id=HOSTILE,
        created_at=AT,
        status=HOSTILE,
        revision=HOSTILE,
        branch=HOSTILE,
        config={HOSTILE: HOSTILE},
        tasks=[task, task.model_copy(update={"task": HUGE})],
        notes=[HOSTILE, HUGE],
    )
    trace = Trace(
        id=HOSTILE,
        name=HOSTILE,
        created_at=AT,
        input={HOSTILE: HOSTILE},
        output=HOSTILE,
        reference=HUGE,
        error=HOSTILE,
        metadata={HOSTILE: HOSTILE},
        scores=[
            Score(name=HOSTILE, value=0.5, source=ScoreSource.JUDGE, reason=HOSTILE),
            Score(name=HUGE, source=ScoreSource.CHECK, error=HOSTILE),
        ],
        spans=[hostile_span(), hostile_span(id="child", parent_id=HOSTILE), hostile_span(parent_id=HOSTILE)],
    )
    sample = Sample(
        trace=trace,
        passed=False,
        error=HOSTILE,
        metrics={HOSTILE: 0.5, "score": 0.5, "cost_usd": 0.25, "latency_ms": 5.0},
        missing={HOSTILE: HOSTILE},
        prompts={HOSTILE: (1, HOSTILE)},
    )
    case = Case(
        id=HOSTILE, run_id=HOSTILE, task=HOSTILE, outcome=HOSTILE, samples=[sample, sample], gates=[gate]
    )
    huge = Case(id=HUGE, run_id=HOSTILE, task=HUGE)
    return module.run_html(run, [gate], [gate], [case, huge], {HOSTILE: [run]})


def test_hostile_text_is_shown_and_does_nothing(
    browse: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = module._asset
    monkeypatch.setattr(module, "_asset", lambda name: asset(name) + OPEN_ALL * (name == "report.js"))
    page, console = browse(hostile_page())
    assert console == ""
    dump = Dump(page)
    assert "TAKEN" not in page[page.index("<title>") : page.index("</title>")].partition("kaizen run")[0]
    assert not {"img", "svg", "iframe", "link", "object"} & dump.tags
    assert not {name for name in dump.attributes if name.startswith("on") or name in ("src", "srcdoc")}
    assert "canvas" in dump.tags
    # In the tables, in the case's window and in the deepest of its boxes.
    assert dump.text.count(ATTACK) > 60
    assert "\\u001b[31m\\u202e" in dump.text
    assert "\x1b" not in dump.text
    assert "\u202e" not in dump.text


def test_the_policy_stops_what_would_be_markup(browse: Callable[[str], tuple[str, str]]) -> None:
    page = hostile_page().replace('<main id="page">', f'<main id="page">{ATTACK}')
    shown, console = browse(page)
    assert "<title>TAKEN" not in shown
    assert "Content Security Policy" in console
    # The same without the policy: these tests would see an attack that works.
    start, end = page.index('<meta http-equiv="Content-Security-Policy"'), page.index('<meta name="viewport"')
    taken, _ = browse(page[:start] + page[end:])
    assert "<title>TAKEN" in taken
