"""What happens around a test while ``--kaizen`` is on: its samples, its gates, its outcome, more rounds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from statistics import fmean
from typing import Any, NamedTuple

import pytest

from ..gate import Family
from ..models import Case, GateResult, Sample
from ..pipeline import (
    Baselines,
    CasePlan,
    LiveSample,
    RunBook,
    RunWriter,
    Sampling,
    Scoring,
    case_verdicts,
    current,
    current_sample,
    failure_text,
)
from ..prompts import PromptLibrary
from .body import SessionCassettes, sampled
from .case_run import INTERRUPTS, SKIPS, CaseRun, message_of
from .pytest_internals import run_again, set_up_again, tear_down_all

RUN = pytest.StashKey[CaseRun]()

_PREFIX = "kaizen_"


class Work(NamedTuple):
    """What a process needs to run the cases of a run.

    Attributes:
        run_id: The run.
        plans: The collected cases, by node id.
        writer: Puts samples and cases into the store.
        baselines: What ``max_drop`` gates compare with.
        family: The gates of the session, if their errors are to hold over all of them.
        finished: Told of every case that has come to its outcome, with the report that says so, and
            of one more sample of such a case.
    """

    run_id: str
    plans: Mapping[str, CasePlan]
    writer: RunWriter
    baselines: Baselines
    family: Family | None
    finished: Callable[[CaseRun, pytest.TestReport], None]

    def plan(self, item: pytest.Item) -> CasePlan:
        """Return an item's plan; some plugins make items that were never collected."""
        return self.plans.get(item.nodeid) or CasePlan(case_id=item.nodeid, name=item.name)


class ItemHooks:
    """pytest's hooks around each test, in the process that runs it.

    Args:
        config: pytest's configuration.
        work: What is to be run.
        scoring: What every sample is put through.
        library: The prompts.
        cassettes: Replay and record the calls.
        fails: Whether a gate's result fails its test.
    """

    def __init__(
        self,
        config: pytest.Config,
        work: Work,
        scoring: Scoring,
        library: PromptLibrary,
        cassettes: SessionCassettes,
        fails: Callable[[GateResult], bool],
    ) -> None:
        self._hook = config.hook
        self._work = work
        self._writer = work.writer
        self._baselines = work.baselines
        self._scoring = scoring
        self._library = library
        self._cassettes = cassettes
        self._fails = fails
        self._cases: dict[str, Case] = {}
        #: Set while cases that have come to their outcome get one more sample: its number.
        self.going_on: int | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Begin the case: calls that its fixtures make belong to its first sample."""
        plan = self._work.plan(item)
        case = None
        if self.going_on is None:
            sampling = Sampling(plan, self._baselines, self._work.family)
        else:
            case = self._cases.get(plan.case_id) or Case(
                id=plan.case_id, run_id=self._work.run_id, task=plan.task
            )
            count = self.going_on + 1
            once = plan._replace(samples=count, max_samples=count, gates=(), concurrency=1, isolate=False)
            sampling = Sampling(once, self._baselines)

        def make(number: int) -> LiveSample:
            live = LiveSample(plan, self._work.run_id, number)
            live.recorder.tape = self._cassettes.tape(item, number, live.prompts)
            return live

        self._cassettes.begin(item, plan)
        run = CaseRun(sampling, self._work.run_id, make, self._record, case)
        item.stash[RUN] = run
        with current(run.upcoming):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run the body as the case's samples; then decide the case's gates."""
        run = item.stash[RUN]
        raised: BaseException | None = None
        run.is_running = True
        try:
            with sampled(item, run), current(run.upcoming):
                yield
            self._draw_isolated(item, run)
        except BaseException as exc:
            raised = exc
        run.is_running = False
        try:
            self._conclude(item, run, raised)
        except INTERRUPTS:
            # pytest will not ask what came of the test.
            if run.unstored is not None:
                self._writer.add_sample(run.case, run.unstored)
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what pytest made of the case."""
        report = yield
        run = item.stash.get(RUN, None)
        if run is None:
            # Some plugin reports on a test that was never set up.
            return report
        if run.is_running:
            # Of a subtest.
            live = current_sample()
            if report.failed and live is not None and call.excinfo is not None:
                run.spoil(live, call.excinfo.value)
        elif report.when == "teardown":
            # pytest keeps items until the end of the session.
            del item.stash[RUN]
        elif run.is_over or report.outcome != "passed":
            if report.when == "setup":
                error = call.excinfo.value if call.excinfo else None
                run.end_all(error)
                self._cassettes.end(item, error)
            if run.goes_on:
                self._work.finished(run, report)
            elif run.is_case:
                if run.is_unrun and not report.passed:
                    run.case.complete = False
                failed = "failed" if report.when == "call" else "error"
                run.case.outcome = failed if report.failed or run.spoilt else report.outcome
                self._writer.finish_case(run.case, run.unstored)
                self._work.finished(run, report)
                self._cases[run.case.id] = run.case
                # Traces are large, and nobody needs them any more.
                run.case.samples = []
        return report

    def _conclude(self, item: pytest.Item, run: CaseRun, raised: BaseException | None) -> None:
        """Decide the case's gates, and raise what the test ends with, if anything.

        Args:
            item: The test.
            run: Its samples.
            raised: What running them ended with.
        """
        run.end_all(raised)
        raised = run.broken if raised is None else raised
        run.is_over = True
        error = run.error if raised is None else raised
        if run.goes_on:
            self._cassettes.end(item, error, whole=False)
            if isinstance(raised, INTERRUPTS):
                raise raised
            return
        failed = self._decide(run, error)
        if run.is_case:
            set_properties(item, run.case)
        if trouble := self._cassettes.end(item, error):
            pytest.fail(trouble, pytrace=False)
        if failed and error is None:
            pytest.fail(failure_text(run.plan, run.case.samples, run.failures), pytrace=False)
        if raised is None or self._is_tolerated(run, raised):
            return
        notes = [run.worst_of] if run.worst_of and raised is run.error else []
        if run.failures:
            notes.append(failure_text(run.plan, run.case.samples, run.failures))
        if notes:
            item.add_report_section("call", "kaizen", "\n".join(notes))
        raise raised

    def _draw_isolated(self, item: pytest.Item, run: CaseRun) -> None:
        """Draw the further samples that are to have fixtures of their own."""
        if not run.plan.isolate:
            return
        # unittest may skip a body by itself, and would do so for ever.
        while run.has_begun and (live := run.prepare()) is not None:
            with current(live):
                set_up_again(item)
                with sampled(item, run):
                    item.runtest()
        run.settle()

    def _record(self, run: CaseRun, live: LiveSample, error: BaseException | None) -> Sample | None:
        """Score and store a sample, unless there is nothing to keep of it."""
        score = not isinstance(error, SKIPS + INTERRUPTS)
        seen = bool(live.recorder.close())
        if not (run.plan.asked or seen):
            return None
        run.is_case = True
        if not (score or seen):
            return None
        sample = self._scoring.finish(live, _line(error), score=score)
        try:
            self._hook.pytest_kaizen_trace(trace=sample.trace)
        except Exception as exc:
            # Somebody's hook broke: the test says so, and what was captured is kept.
            run.fail(exc)
        if run.has_one_sample:
            # It goes to the store with the outcome, which comes next: one transaction instead of two.
            run.unstored = sample
        else:
            self._writer.add_sample(run.case, sample)
        return sample

    def _decide(self, run: CaseRun, error: BaseException | None) -> bool:
        """Decide the case's gates; return whether it fails by them or by its checks."""
        run.case.samples = run.samples
        if not run.is_whole or isinstance(error, SKIPS + INTERRUPTS):
            return False
        run.case.complete = True
        run.case.gates = case_verdicts(run.sampling, run.samples, self._library, self._baselines)
        for result in run.case.gates:
            self._hook.pytest_kaizen_gate(result=result)
        run.failures = [result for result in run.case.gates if self._fails(result)]
        failed_checks = {name for live in run.ended for name in live.failed_checks}
        intolerable = any(not run.plan.tolerates_check(name) for name in failed_checks)
        # A rubric was to judge the case, and there was nothing to judge.
        unjudged = bool(run.plan.rubrics) and any(sample.trace.output is None for sample in run.samples)
        return bool(run.failures or intolerable or unjudged)

    @staticmethod
    def _is_tolerated(run: CaseRun, raised: BaseException) -> bool:
        """Whether the case's own gate on ``pass_rate`` allows for samples that raise.

        It allows for nothing else: a timeout, a broken fixture, another plugin's complaint.
        """
        passed = run.case.complete and not run.failures
        of_sample = raised is run.error and raised is not run.broken
        return passed and of_sample and run.plan.tolerates_exceptions


def _line(error: BaseException | None) -> str | None:
    if error is None:
        return None
    text = " ".join(message_of(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Rounds:
    """Runs the cases of such a task once more each, round after round.

    Every case counts alike in a gate on its task, so only whole rounds take it further. They come
    when all tests have had their outcome, which they no longer change.

    Args:
        book: Says which tasks are undecided.
        hooks: Runs the samples.
        plan_of: Gives an item's plan.
    """

    def __init__(self, book: RunBook, hooks: ItemHooks, plan_of: Callable[[pytest.Item], CasePlan]) -> None:
        self._book = book
        self._hooks = hooks
        self._plan_of = plan_of

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Draw until every gate is decided, or a case of its task may not run again."""
        outcome = yield
        drawn = False
        for task in self._book.undecided():
            # A test that was collected twice is one case.
            by_id = {item.nodeid: item for item in session.items if self._plan_of(item).task == task}
            items = list(by_id.values())
            while task in self._book.undecided() and self._draw_round(items):
                drawn = True
        if drawn:
            tear_down_all(session)
        return outcome

    def _draw_round(self, items: list[pytest.Item]) -> bool:
        """Give one sample more to each case that has the fewest; return whether that was possible."""
        counts = {item.nodeid: self._book.samples_of(self._plan_of(item)) for item in items}
        fewest = min(counts.values())
        due = [item for item in items if counts[item.nodeid] == fewest]
        if any(fewest >= self._plan_of(item).most for item in due):
            return False
        for item in due:
            self._hooks.going_on = fewest
            try:
                run_again(item)
            finally:
                self._hooks.going_on = None
        return min(self._book.samples_of(self._plan_of(item)) for item in items) > fewest


def set_properties(item: pytest.Item, case: Case) -> None:
    """Give a test the figures of its case; those of an earlier attempt are replaced."""
    item.user_properties[:] = [
        (name, value) for name, value in item.user_properties if not name.startswith(_PREFIX)
    ]
    item.user_properties += [(f"{_PREFIX}{name}", value) for name, value in _figures(case).items()]


def _figures(case: Case) -> dict[str, str]:
    metrics = [sample.metrics for sample in case.samples]
    scores = [values["score"] for values in metrics if "score" in values]
    costs = [values["cost_usd"] for values in metrics if "cost_usd" in values]
    prompts = {
        f"{task} v{version}" for sample in case.samples for task, (version, _) in sample.prompts.items()
    }
    figures = {
        "task": case.task,
        "samples": str(len(case.samples)),
        "score": f"{fmean(scores):.4f}" if scores else "",
        "prompt": ", ".join(sorted(prompts)),
        "cost_usd": f"{sum(costs):.6f}" if len(costs) == len(metrics) else "",
        "gates": "; ".join(f"{gate.outcome}: {gate.sentence}" for gate in case.gates),
    }
    return {name: value for name, value in figures.items() if value}
