"""The HTML report in a real browser, with hostile text in every field."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import pytest_kaizen.report.html as module
from pytest_kaizen.models import Case, Run, Sample, TaskSummary, Trace
from tests.hostile import AT, ATTACK, HOSTILE, hostile_run

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")

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
        done = subprocess.run(command, capture_output=True, timeout=600, check=True)
        log = done.stderr.decode("utf-8", "replace").splitlines()
        return done.stdout.decode("utf-8"), "\n".join(line for line in log if "CONSOLE" in line)

    return browse


def hostile_page() -> str:
    run, cases = hostile_run()
    gates = run.tasks[0].gates
    return module.run_html(run, gates, gates, cases, {HOSTILE: [run]})


def test_hostile_text_is_shown_and_does_nothing(
    browse: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = module._asset
    monkeypatch.setattr(module, "_asset", lambda name: asset(name) + OPEN_ALL * (name == "report.js"))
    page, console = browse(hostile_page())
    assert console == ""
    dump = Dump(page)
    assert '<html lang="en">' in page
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
    assert '<html lang="en">' in shown
    assert "Content Security Policy" in console
    # The same without the policy: these tests would see an attack that works.
    start, end = page.index('<meta http-equiv="Content-Security-Policy"'), page.index('<meta name="viewport"')
    taken, _ = browse(page[:start] + page[end:])
    assert '<html lang="en" class="TAKEN">' in taken


def test_rows_are_made_as_they_are_wanted(browse: Callable[[str], tuple[str, str]]) -> None:
    sample = Sample(trace=Trace(id="t", name="t", created_at=AT), passed=True, metrics={"score": 0.5})
    cases = [Case(id=f"t.py::test_{n:04}", run_id="r", task="greet", samples=[sample]) for n in range(1000)]
    task = TaskSummary(task="greet", cases=1000, collected=1000, samples=1000)
    page, console = browse(module.run_html(Run(id="r", created_at=AT, tasks=[task]), [], [], cases, {}))
    assert console == ""
    assert page.count('<th scope="row">') == 100
    assert "100 of 1000 cases shown" in page
    assert "kaizen traces show t<" in page


#: Sorts the tasks by their scores, a second time the other way, and then shows in which order they are.
SORT_TASKS = """
for (const way of ["ascending", "descending"]) {
  const head = [...document.querySelectorAll("nav thead th")].find((one) => one.textContent === "score");
  head.querySelector("button").click();
  const order = [...document.querySelectorAll("nav tbody th")].map((one) => one.textContent).join(" ");
  document.body.append(make("p", {}, `${head.getAttribute("aria-sort")}: ${order}`));
}
"""


def test_the_tasks_of_a_run_are_sorted(
    browse: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = module._asset
    monkeypatch.setattr(module, "_asset", lambda name: asset(name) + SORT_TASKS * (name == "report.js"))
    scores = {"b": 0.5, "none": None, "c": 0.9, "a": 0.1}
    tasks = [
        TaskSummary(task=name, cases=1, collected=1, samples=1, score=score) for name, score in scores.items()
    ]
    page, console = browse(module.run_html(Run(id="r", created_at=AT, tasks=tasks), [], [], [], {}))
    assert console == ""
    # Who has no score is last, whichever way.
    assert "<p>ascending: a b c none</p>" in page
    assert "<p>descending: c b a none</p>" in page
    assert '<a href="#task-2">c' in page
