"""Reports that others read: files, a CI system's summary page, marks at lines of code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ..config import Config
from ..files import replace_text
from ..models import GateResult, Run
from ..prompts import PromptLibrary
from ..report.as_json import run_json
from ..report.documents import run_markdown
from ..report.terminal import Annotation, annotation_lines
from ..store import Store

#: So many runs back goes the trend of a task.
_MOST_RUNS = 50


class Reports:
    """Writes the reports of one session; a report that cannot be written changes no outcome.

    Args:
        config: pytest's configuration.
        settings: Ours.
        library: Says where a task's prompt stands.
        environ: The environment, in which CI systems say where they are.
    """

    def __init__(
        self, config: pytest.Config, settings: Config, library: PromptLibrary, environ: Mapping[str, str]
    ) -> None:
        self._root = config.rootpath
        self._settings = settings
        self._library = library
        self._environ = environ
        self._places: dict[str, tuple[str, int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember where a failed test stands."""
        if report.failed:
            file, line, _ = report.location
            self._places[report.nodeid] = (file, (line or 0) + 1)

    def write(
        self,
        run: Run,
        store: Store,
        decided: Sequence[GateResult],
        fails: Callable[[GateResult], bool],
        say: Callable[[str], None],
    ) -> None:
        """Write everything that is wanted.

        Args:
            run: The finished run.
            store: Where its cases are.
            decided: Every gate that came to a verdict.
            fails: Whether a gate's result makes its test or the session fail.
            say: Prints a line.
        """
        failed = [gate for gate in decided if fails(gate)]
        failed_tasks = [gate for gate in failed if gate.case_id is None]
        markdown = run_markdown(run, decided, failed_tasks)
        forms = {
            ".html": lambda: _html(run, store, decided, failed_tasks),
            ".json": lambda: _json(run, store),
            ".md": lambda: markdown,
        }
        for path in self._settings.reports:
            try:
                replace_text(path, forms[path.suffix]())
            except OSError as exc:
                say(f"kaizen: no report: {exc}")
            else:
                say(f"kaizen: report: {path}")
        if summary := self._environ.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(summary).open("a", encoding="utf-8") as page:
                    page.write(f"{markdown}\n")
            except OSError as exc:
                say(f"kaizen: no summary: {exc}")
        if self._environ.get("GITHUB_ACTIONS") == "true":
            for line in annotation_lines(list(self._annotations(failed))):
                say(line)

    def _annotations(self, failed: Sequence[GateResult]) -> Iterator[Annotation]:
        # Those on whole tasks first: there are few, and they say most.
        for gate in sorted(failed, key=lambda gate: gate.case_id is not None):
            file, line = self._place(gate)
            yield Annotation(self._in_repository(file), line, f"kaizen: {gate.task}", gate.sentence)

    def _place(self, gate: GateResult) -> tuple[Path, int]:
        """Where to look: at the test of a case, and at the prompt of a task that has one."""
        if gate.case_id is not None:
            file, line = self._places.get(gate.case_id, (gate.case_id.partition("::")[0], 1))
            return self._root / file, line
        if self._library.numbers(gate.task):
            return self._library.get(gate.task).path, 1
        file, _, number = gate.origin.rpartition(":")
        return self._settings.root / file, int(number) if number.isdecimal() else 1

    def _in_repository(self, file: Path) -> str:
        top = Path(self._environ.get("GITHUB_WORKSPACE") or self._root)
        return file.relative_to(top).as_posix() if file.is_relative_to(top) else file.as_posix()


def _html(run: Run, store: Store, decided: Sequence[GateResult], failed_tasks: Sequence[GateResult]) -> str:
    # Nobody else waits for the page and what it is built from.
    from ..report.html import run_html

    earlier = [
        past
        for past in reversed(store.runs(limit=_MOST_RUNS))
        if past.status == "completed" and past.created_at < run.created_at
    ]
    history = {task.task: [past for past in earlier if _is_whole(past, task.task)] for task in run.tasks}
    return run_html(run, decided, failed_tasks, store.cases(run.id), history)


def _is_whole(run: Run, task: str) -> bool:
    return any(summary.task == task and summary.partial is None for summary in run.tasks)


def _json(run: Run, store: Store) -> str:
    return json.dumps(run_json(run, store.cases(run.id)), indent=2) + "\n"
