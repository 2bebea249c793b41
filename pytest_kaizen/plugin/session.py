"""The session object: pytest's hooks while ``--kaizen`` is on."""

from __future__ import annotations

import os
import unittest
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..capture import Capture, Redactor
from ..config import load_config
from ..errors import KaizenError, UsageError
from ..models import Case, Outcome, Sample
from ..pipeline import (
    NO_TASK,
    CasePlan,
    LiveSample,
    RunBook,
    Scoring,
    case_verdicts,
    current,
    failure_text,
)
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..report import closing_line, summary_lines
from ..store import Store
from . import options
from .body import within
from .fixture import Kaizen
from .judging import SessionJudge
from .planning import Planner
from .recording import SessionCassettes
from .root import kaizen_root
from .state import STATE, CaseState
from .whole import left_out

if TYPE_CHECKING:
    from ..config import Config
    from ..models import GateResult, Usage

KAIZEN = pytest.StashKey["KaizenSession"]()
#: What ends a body without saying anything about the prompt.
_SKIPS = (pytest.skip.Exception, unittest.SkipTest)
_INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit, pytest.exit.Exception)


def open_session(config: pytest.Config) -> None:
    """Make the session of a pytest run and register it.

    Raises:
        pytest.UsageError: The configuration is wrong.
    """
    if config.getoption("numprocesses", default=None):
        # Its processes would each decide on a part; nothing said is better than something wrong.
        raise pytest.UsageError(
            "--kaizen does not work with pytest-xdist yet; run it without -n (or with -n 0)"
        )
    try:
        settings = load_config(
            kaizen_root(config), cli=options.from_command_line(config), ini=options.from_ini(config)
        )
        session = KaizenSession(config, settings)
    except UsageError as exc:
        raise pytest.UsageError(str(exc)) from None
    config.stash[KAIZEN] = session
    config.pluginmanager.register(session, "kaizen-session")
    session.capture.install()
    config.add_cleanup(session.close)


class KaizenSession:
    """Everything that one pytest run with ``--kaizen`` holds, reached by the stash key ``KAIZEN``."""

    def __init__(self, config: pytest.Config, settings: Config) -> None:
        self._config = config
        self._settings = settings
        self._library = PromptLibrary(settings)
        self._library.check()
        prices = load_prices(settings.prices)

        def price(model: str, usage: Usage) -> float | None:
            cost: float | None = config.hook.pytest_kaizen_price(model=model, usage=usage)
            return prices.cost(model, usage) if cost is None else cost

        self.capture = Capture(settings.endpoints, price=price)
        self._judge = SessionJudge(settings, prices)
        self._scoring = Scoring(
            redactor=Redactor(os.environ, settings.redact),
            judge=self._judge,
            on_trace=lambda trace: config.hook.pytest_kaizen_trace(trace=trace),
        )
        self._cassettes = SessionCassettes(settings, self._scoring.redactor)
        self._plans: dict[str, CasePlan] = {}
        self._beyond: dict[str, str] = {}
        self._store: Store | None = None
        self._book: RunBook | None = None
        self._interrupted = False

    def close(self) -> None:
        """Undo the capture, close the store and the judge's connections."""
        self.capture.uninstall()
        self._judge.close()
        if self._store is not None:
            self._store.close()

    # --- collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Read every item's markers, before anything is deselected."""
        planner = Planner(self._settings, self._library)
        try:
            self._plans = {item.nodeid: planner.plan(item) for item in items}
        except UsageError as exc:
            raise pytest.UsageError(str(exc)) from None
        asked = {name for name, task in self._settings.tasks.items() if task.gate or task.rubric}
        asked |= {plan.task for plan in self._plans.values() if plan.asked and plan.task != NO_TASK}
        self._beyond = left_out(config, items, sorted(asked))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the store and the run, unless nothing is going to run."""
        # pytest also comes here when a marker was refused: then there are no plans.
        if session.config.option.collectonly or not session.items or not self._plans:
            return
        try:
            self._store = Store.open(self._settings.store)
            self._judge.use(self._store, self._scoring.redactor)
            self._book = RunBook(self._settings, self._store, self._library, self._scoring.redactor)
            self._book.start(self._plans.values(), self._beyond)
        except KaizenError as exc:
            raise pytest.UsageError(str(exc)) from None
        scorers = [scorer for given in self._config.hook.pytest_kaizen_scorers() for scorer in given]
        self._scoring.scorers.extend(scorers)

    # --- one item

    def fixture(self, item: pytest.Item) -> Kaizen:
        """Make the value of the ``kaizen`` fixture for an item."""
        return Kaizen(lambda: item.stash[STATE].live, self._library, self._scoring, self._settings.root)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Begin the item's sample: calls that its fixtures make belong to it."""
        plan = self._plans.get(item.nodeid) or CasePlan(case_id=item.nodeid, name=item.name)
        run_id = self._book.run.id if self._book else ""
        case = Case(id=plan.case_id, run_id=run_id, task=plan.task, complete=False)
        state = CaseState(plan, case, LiveSample(plan, run_id))
        item.stash[STATE] = state
        self._cassettes.begin(item, plan)
        state.live.recorder.tape = self._cassettes.tape(item, state.live.number, state.live.prompts)
        with current(state.live):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run the body within its sample; then score, store and decide the case's gates."""
        state = item.stash[STATE]
        raised: BaseException | None = None
        with within(item, state.live) as body, current(state.live):
            try:
                yield
            except BaseException as exc:
                raised = exc
        error = raised or body.error
        failed = self._conclude(state, error)
        trouble = self._cassettes.end(item, error)
        if trouble:
            pytest.fail(trouble, pytrace=False)
        if failed and error is None:
            pytest.fail(failure_text(state.plan, state.case.samples, state.failures), pytrace=False)
        if raised is None or self._is_tolerated(state, raised):
            return
        if state.failures:
            text = failure_text(state.plan, state.case.samples, state.failures)
            item.add_report_section("call", "kaizen", text)
        raise raised

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what pytest made of the case."""
        report = yield
        ends = report.when == "call" or (report.when == "setup" and not report.passed)
        if ends and self._book is not None:
            state = item.stash[STATE]
            if report.when == "setup":
                error = call.excinfo.value if call.excinfo else None
                self._conclude(state, error, score=False)
                self._cassettes.end(item, error)
            if state.started:
                failed = "failed" if report.when == "call" else "error"
                state.case.outcome = failed if report.failed else report.outcome
                self._book.finish_case(state.case)
        return report

    def _conclude(self, state: CaseState, error: BaseException | None, *, score: bool = True) -> bool:
        """End the sample; return whether the case fails by its gates or checks."""
        book = self._book
        live, plan = state.live, state.plan
        score = score and not isinstance(error, _SKIPS + _INTERRUPTS)
        seen = bool(live.recorder.close())
        if book is None or not (plan.asked or seen):
            return False
        book.start_case(state.case)
        state.started = True
        if not score and not seen:
            return False
        sample = self._scoring.finish(live, _line(error), score=score)
        state.case.samples = [sample]
        book.add_sample(state.case, sample)
        if not score:
            return False
        state.case.complete = True
        state.case.gates = case_verdicts(plan, state.case.samples, self._library, book.baselines)
        for result in state.case.gates:
            self._config.hook.pytest_kaizen_gate(result=result)
        state.failures = [result for result in state.case.gates if self._fails(result)]
        intolerable = [name for name in live.failed_checks if not plan.tolerates_check(name)]
        return bool(state.failures or intolerable or _is_unjudged(plan, sample))

    def _fails(self, result: GateResult) -> bool:
        fatal = {Outcome.FAIL} | ({Outcome.UNDECIDED} if self._settings.undecided == "fail" else set())
        return result.outcome in fatal

    @staticmethod
    def _is_tolerated(state: CaseState, raised: BaseException) -> bool:
        """Whether the case's own gate on ``pass_rate`` allows for a sample that raises."""
        passed = state.case.complete and not state.failures
        return passed and state.plan.tolerates_exceptions and not isinstance(raised, _SKIPS + _INTERRUPTS)

    # --- the end

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the session was broken off, by the user or by ``pytest.exit``."""
        self._interrupted = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Decide the gates on whole tasks; a failed one makes a run that would exit 0 exit 1."""
        if self._book is None:
            return (yield)
        interrupted = self._interrupted or session.exitstatus == pytest.ExitCode.INTERRUPTED
        status = "interrupted" if interrupted else "completed"
        run = self._book.finish(int(session.exitstatus), status, self._fails)
        results = [result for task in run.tasks for result in task.gates]
        for result in results:
            self._config.hook.pytest_kaizen_gate(result=result)
        if run.exit_status != session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        outcome = yield
        self._say(closing_line(run, self._book.decided_gates, [r for r in results if self._fails(r)]))
        return outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table of tasks and the sentences of their gates."""
        if self._book is None:
            return
        lines = summary_lines(self._book.run, unstored=self._book.unstored)
        if lines:
            terminalreporter.section("kaizen")
            for line in lines:
                terminalreporter.write_line(line)

    def _say(self, line: str) -> None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(line)
        else:
            os.write(2, f"{line}\n".encode())


def _is_unjudged(plan: CasePlan, sample: Sample) -> bool:
    """Whether a rubric was to judge the case and there was nothing to judge."""
    return bool(plan.rubrics) and sample.trace.output is None


def _line(error: BaseException | None) -> str | None:
    if error is None:
        return None
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
