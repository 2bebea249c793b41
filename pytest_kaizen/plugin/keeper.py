"""The process that keeps the book of the run: the only one there is, or pytest-xdist's controller.

A worker of pytest-xdist stores its samples itself, so that one that is killed loses only the sample
in flight. What the controller needs for its books comes along with the reports: each finished case
as JSON and, with a worker's first one, what there is to run. A report takes no objects, only plain
values.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from ..capture import Redactor
from ..config import Config
from ..errors import KaizenError
from ..models import Case, GateResult, Outcome, Run
from ..pipeline import Collected, RunBook, open_store
from ..prompts import PromptLibrary
from ..report import closing_line, sample_lines, summary_lines, terse_lines
from ..store import Store
from ..store.table import storable_json
from .case_run import CaseRun

if TYPE_CHECKING:
    from ..pipeline.upload.senders import SessionUpload
    from .reports import Reports


#: How pytest's terminal reporter is asked for a colour, which it gives on a terminal that wants any.
_COLOURS: Mapping[Outcome | None, dict[str, bool]] = {
    Outcome.PASS: {"green": True},
    Outcome.FAIL: {"red": True},
    Outcome.UNDECIDED: {"yellow": True},
}

#: The attribute of a report, and the key in what a worker is given and gives back.
_KEY = "kaizen"

#: Seconds between two lines.
EVERY_S = 20.0


class Keeper:
    """Begins the run, takes in its cases, decides the gates on whole tasks and reports.

    Args:
        config: pytest's configuration.
        settings: Ours.
        library: The prompts.
        redactor: Takes secrets out of what the run keeps of them.
        fails: Whether a gate's result makes the session fail.
        warnings: What is to be said in the report.

    Attributes:
        book: The book, once the run is open.

    Raises:
        ConfigError: A backend lacks its key.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Config,
        library: PromptLibrary,
        redactor: Redactor,
        fails: Callable[[GateResult], bool],
        warnings: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._settings = settings
        self._library = library
        self._redactor = redactor
        self._fails = fails
        self._warnings = warnings
        self._store: Store | None = None
        self._book_store: Store | None = None
        self.book: RunBook | None = None
        self._progress: Progress | None = None
        self._interrupted = False
        self._reports: Reports | None = None
        self._upload = self._open_upload()

    def close(self) -> None:
        """Stop the upload of a session that had no end, and close the store if this object opened it."""
        if self._upload is not None:
            self._upload.stop()
        if self._store is not None:
            self._store.close()

    def begin(self, store: Store) -> RunBook:
        """Open the run in a store.

        Raises:
            StoreError: The store cannot be written.
        """
        self.book = RunBook(self._settings, store, self._library, self._redactor)
        self.book.warnings.extend(self._warnings)
        self._book_store = store
        self._open_reports()
        if self._upload is not None:
            self._upload.start()
        reporter = self._reporter
        # A log that nobody watches has no use for it.
        if reporter is not None and reporter.isatty and reporter.verbosity >= 0:
            self._progress = Progress(self._say)
        return self.book

    def take_in(self, run: CaseRun) -> None:
        """Take in what a case of this process came to, or one more sample of it."""
        assert self.book is not None
        if run.goes_on:
            self.book.add_samples(run.case, run.samples)
        else:
            self.count(run.case)

    def count(self, case: Case) -> None:
        """Take in a case that has come to its outcome."""
        assert self.book is not None
        self.book.count(case)
        if self._progress is not None:
            self._progress.count(case, sum(self.book.collected.cases.values()))

    # --- pytest-xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Open the run before the first worker starts, and tell each one which it is."""
        if self._config.getoption("dist") == "each":
            # Several attempts at one case at once would be counted as reruns of it.
            raise pytest.UsageError("--kaizen counts each case once, and --dist=each runs it several times")
        if self.book is None:
            try:
                self._store = open_store(self._settings)
                self.begin(self._store)
            except KaizenError as exc:
                raise pytest.UsageError(str(exc)) from None
        assert self.book is not None
        give_run(node, self.book.run.id)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in the case that a worker hands over."""
        found = Handover.take(report)
        if found is None or self.book is None:
            return
        if not self.book.collected.cases and (collected := found.collected) is not None:
            self.book.start(collected)
        self.book.hear(getattr(report, "worker_id", ""), found.unstored, found.edited)
        self.count(found.case)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Stop the session when a worker refused to run: a marker or file is wrong."""
        why = refusal(node)
        if why is not None:
            raise pytest.UsageError(why)

    # --- the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the session was broken off, by the user or by ``pytest.exit``."""
        self._interrupted = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Decide the gates on whole tasks; a failed one makes a run that would exit 0 exit 1."""
        if self.book is None:
            return (yield)
        interrupted = self._interrupted or session.exitstatus == pytest.ExitCode.INTERRUPTED
        status = "interrupted" if interrupted else "completed"
        run = self.book.finish(int(session.exitstatus), status, self._fails)
        results = [result for task in run.tasks for result in task.gates]
        for result in results:
            self._config.hook.pytest_kaizen_gate(result=result)
        if run.exit_status != session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        outcome = yield
        if self._reports is not None and self._book_store is not None:
            self._reports.write(run, self._book_store, self.book.decided_gates, self._fails, self._say)
        self._finish_upload(run, interrupted=interrupted)
        if self._settings.optimizes and not interrupted and not self._settings.searches_elsewhere:
            self._optimize(run)
        self._say(closing_line(run, self.book.decided_gates, [r for r in results if self._fails(r)]))
        return outcome

    def _open_reports(self) -> None:
        if self._settings.reports or os.environ.keys() & {"GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"}:
            # A run that nobody else reads about need not wait for it.
            from .reports import Reports

            self._reports = Reports(self._config, self._settings, self._library, os.environ)
            self._config.pluginmanager.register(self._reports, "kaizen-reports")

    def _open_upload(self) -> SessionUpload | None:
        if not self._settings.upload_to:
            return None
        # A run that uploads nothing need not wait for it.
        from ..pipeline.upload.senders import SessionUpload

        return SessionUpload(self._settings, os.environ)

    def _finish_upload(self, run: Run, *, interrupted: bool) -> None:
        """Wait for the upload for as long as it may take, and say what came of it; no verdict changes."""
        upload, self._upload = self._upload, None
        if upload is None or self._book_store is None:
            return
        try:
            for line in upload.finish(self._book_store, interrupted=interrupted):
                self._say(f"kaizen: {line}")
            if self._settings.wait and not interrupted:
                upload.follow(self._book_store, run.id, lambda line: self._say(f"kaizen: {line}"))
        except KaizenError as exc:
            self._say(f"kaizen: upload: {exc}")

    def _optimize(self, run: Run) -> None:
        # What it needs is of no use to a run without the option.
        from .optimizing import Optimizing

        assert self._book_store is not None
        watched = self._progress is not None
        Optimizing(self._config, self._settings, self._say, watched=watched).after(
            run, self._book_store, self._fails
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print tasks and their gates; ``-q``: less, ``-qq``: what failed alone, ``-vv``: every sample."""
        if self.book is None:
            return
        run, unstored = self.book.run, self.book.unstored
        if terminalreporter.verbosity < 0:
            lines = terse_lines(run, unstored=unstored, with_table=terminalreporter.verbosity == -1)
        else:
            width = get_terminal_size().columns if terminalreporter.isatty else None
            lines = summary_lines(run, unstored=unstored, width=width)
        if terminalreporter.verbosity > 1 and self._book_store is not None:
            lines = [*sample_lines(self._book_store.cases(run.id)), *lines]
        if lines:
            terminalreporter.section("kaizen")
        for line in lines:
            terminalreporter.write_line(line.text, **_COLOURS.get(line.outcome, {}))

    @property
    def _reporter(self) -> pytest.TerminalReporter | None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        return reporter

    def _say(self, line: str) -> None:
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(line)
        else:
            os.write(2, f"{line}\n".encode())


class Handover(BaseModel, defer_build=True):
    """What comes with a report.

    Attributes:
        case: A case that has come to its outcome.
        unstored: Why something of this worker is not on disk.
        edited: Lines on prompt versions that were edited since an earlier run recorded them.
        cases, rubrics, beyond, confidences: The fields of ``Collected``, rubrics by their paths; with
            a worker's first report.
    """

    case: Case
    unstored: str | None = None
    edited: list[str] = []
    cases: dict[str, int] | None = None
    rubrics: dict[str, list[Path]] = {}
    beyond: dict[str, str] = {}
    confidences: list[float] = []

    def say(self, collected: Collected) -> None:
        """Add what there is to run."""
        self.cases = dict(collected.cases)
        self.rubrics = {task: [r.path for r in rubrics] for task, rubrics in collected.rubrics.items()}
        self.beyond = dict(collected.beyond)
        self.confidences = list(collected.confidences)

    @property
    def collected(self) -> Collected | None:
        """What there is to run; None if this report does not say."""
        if self.cases is None:
            return None
        # Not above: a suite without rubrics need not wait for it.
        from ..score import load_rubric

        rubrics = {task: tuple(map(load_rubric, paths)) for task, paths in self.rubrics.items()}
        return Collected(self.cases, rubrics, self.beyond, self.confidences)

    def attach(self, report: pytest.TestReport) -> None:
        """Let a worker's report take this along."""
        vars(report)[_KEY] = storable_json(self)

    @classmethod
    def take(cls, report: pytest.TestReport) -> Handover | None:
        """Take this off a report that a worker sent."""
        text = vars(report).pop(_KEY, None)
        return None if text is None else cls.model_validate_json(text)


def given_run(config: pytest.Config) -> str | None:
    """Return the id of the run that a worker is to work for; None in any other process."""
    workerinput: Mapping[str, Any] | None = getattr(config, "workerinput", None)
    return None if workerinput is None else workerinput[_KEY]


def give_run(node: Any, run_id: str) -> None:
    """Tell a worker which run it is to work for."""
    node.workerinput[_KEY] = run_id


def refuse(config: pytest.Config, why: str) -> None:
    """Let a worker say why it does not run: its own exit status would tell the controller nothing."""
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[_KEY] = why


def refusal(node: Any) -> str | None:
    """Return why a worker does not run."""
    output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
    return output.get(_KEY)


class Progress:
    """Counts what ends, and says so at most every ``EVERY_S`` seconds.

    Args:
        say: Prints a line.
        clock: Gives the time in seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._last = clock()
        self._cases: set[str] = set()
        self._samples = 0
        self._costs: list[float] = []

    def count(self, case: Case, collected: int) -> None:
        """Take in a case that has ended, of so many; a rerun is no further case, and costs again."""
        self._cases.add(case.id)
        self._samples += len(case.samples)
        self._costs += [s.cost_usd for sample in case.samples for s in sample.trace.spans if s.cost_usd]
        if self._clock() - self._last >= EVERY_S:
            self._last = self._clock()
            spent = f", ${math.fsum(self._costs):.2f}" if self._costs else ""
            samples = f"{self._samples} sample{'s' * (self._samples != 1)}"
            self._say(f"kaizen: {len(self._cases)} of {collected} cases, {samples}{spent}")
