"""The process that keeps the book of the run: the only one there is, or pytest-xdist's controller."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any

import pytest

from ..capture import Redactor
from ..config import Config
from ..errors import KaizenError
from ..models import Case, GateResult, Run
from ..pipeline import RunBook
from ..prompts import PromptLibrary
from ..report import closing_line, summary_lines
from ..store import Store
from .case_run import CaseRun
from .handover import Handover, give_run, refusal
from .progress import Progress


class Keeper:
    """Begins the run, takes in its cases, decides the gates on whole tasks and reports.

    Args:
        config: pytest's configuration.
        settings: Ours.
        library: The prompts.
        redactor: Takes secrets out of what the run keeps of them.
        fails: Whether a gate's result makes the session fail.

    Attributes:
        book: The book, once the run is open.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Config,
        library: PromptLibrary,
        redactor: Redactor,
        fails: Callable[[GateResult], bool],
    ) -> None:
        self._config = config
        self._settings = settings
        self._library = library
        self._redactor = redactor
        self._fails = fails
        self._store: Store | None = None
        self._book_store: Store | None = None
        self.book: RunBook | None = None
        self._progress: Progress | None = None
        self._interrupted = False

    def close(self) -> None:
        """Close the store, if this object opened it."""
        if self._store is not None:
            self._store.close()

    def begin(self, store: Store) -> RunBook:
        """Open the run in a store.

        Raises:
            StoreError: The store cannot be written.
        """
        self.book = RunBook(self._settings, store, self._library, self._redactor)
        self._book_store = store
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
                self._store = Store.open(self._settings.store)
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
        if self._settings.optimizes and not interrupted:
            self._optimize(run)
        self._say(closing_line(run, self.book.decided_gates, [r for r in results if self._fails(r)]))
        return outcome

    def _optimize(self, run: Run) -> None:
        # What it needs is of no use to a run without the option.
        from .optimizing import Optimizing

        assert self._book_store is not None
        watched = self._progress is not None
        Optimizing(self._config, self._settings, self._say, watched=watched).after(
            run, self._book_store, self._fails
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table of tasks and the sentences of their gates."""
        if self.book is None:
            return
        lines = summary_lines(self.book.run, unstored=self.book.unstored)
        if lines:
            terminalreporter.section("kaizen")
            for line in lines:
                terminalreporter.write_line(line)

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
