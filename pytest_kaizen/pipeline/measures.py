"""What a search measures candidates with: the tests of a task, or what was logged about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..config import Config
from ..errors import UsageError
from ..models import Case, Scored, Trace
from ..optimize import Evaluator, Improve, Meter, TaskCase, split_cases
from ..optimize.search import input_text
from ..prompts import Prompt
from ..store import Store
from .feedback.measure import FeedbackMeasure
from .provenance import code_state
from .rollouts import gives_reasons
from .search import Measure, Measured, Search, Source
from .suite import Launch, SuiteEvaluator


class SuiteMeasure:
    """Measures with the task's tests, run by pytest processes; see ``search.Measure``.

    Args:
        config: Which prompt the task runs, and who judges.
        store: Has the run that the cases are taken from.
        launch: How the suite is run.
    """

    def __init__(self, config: Config, store: Store, launch: Launch) -> None:
        self._config = config
        self._store = store
        self._launch = launch
        self._suite: SuiteEvaluator | None = None
        self._found: list[Case] = []

    def fix(self, search: Search) -> Search:
        """Find the task's cases that use its prompt, as a whole run has them; say which run that was."""
        run_id, task = search.run_id, search.task
        if run_id is None:
            run = self._store.last_whole_run(task)
            if run is None:
                raise UsageError(
                    f"no run in the store has all cases of '{task}'; run `pytest --kaizen` first"
                )
            run_id = run.id
        found = [case for case in self._store.cases(run_id) if case.task == task and case.samples]
        self._found = [case for case in found if any(task in sample.prompts for sample in case.samples)]
        if not self._found:
            raise UsageError(
                f"no case of '{task}' fetched its prompt in run {run_id}, so another one would change "
                f'nothing; let the tests use kaizen.prompt("{task}")'
            )
        return replace(search, run_id=run_id)

    def cases(self, prompt: Prompt, keep: Callable[[Trace], None]) -> Measured:
        """Return those cases that the suite still has."""
        task = prompt.task
        self._suite = SuiteEvaluator(self._launch, task, self._config.concurrency or 1, keep)
        there = self._suite.suite()
        ids = set(there.cases.get(task, ()))
        kept = [case for case in self._found if case.id in ids]
        if not kept:
            raise UsageError(
                f"none of the {len(self._found)} cases of '{task}' in run {self._found[0].run_id} is in the "
                f"suite that pytest collects here; run `pytest --kaizen` in this folder first"
            )
        models = {span.model for case in kept for sample in case.samples for span in sample.trace.llm_spans}
        judge = self._config.judge
        # What was measured with other rubrics, tests or code is not measured again under its name.
        judged_by = (there.measures[task], judge.model, judge.votes, code_state(self._config.root))
        return Measured(
            cases=tuple(TaskCase(case.id, case_input(case.samples[0].trace)) for case in kept),
            model=", ".join(sorted(filter(None, models))),
            rubric=hashlib.sha256(repr(judged_by).encode()).hexdigest(),
            critical=frozenset(there.critical.get(task, ())),
            reasons=gives_reasons(kept),
        )

    def notes(self, meter: Meter) -> tuple[str, ...]:  # noqa: ARG002 - logged feedback needs it
        """Say nothing: the report of the suite's run has told how far its judge is to be trusted."""
        return ()

    def evaluator(self, request: Improve) -> Evaluator:
        """Return what runs the cases."""
        assert self._suite is not None
        return _Confirming(self._suite, request)

    def close(self) -> None:
        """End the workers."""
        if self._suite is not None:
            self._suite.close()


def case_input(trace: Trace) -> str:
    """Return what a case was given, without the prompt that it ran under."""
    if trace.input is None:
        return trace.case_id or trace.name
    text = input_text(trace.input)
    for span in trace.llm_spans:
        if span.system:
            text = text.replace(span.system, "")
    return text


class _Confirming:
    """Runs the final comparison in fresh workers, one set for each prompt.

    Wider fixtures and caches of the program may carry something over from hundreds of rollouts before.
    """

    def __init__(self, suite: SuiteEvaluator, request: Improve) -> None:
        search, validation = request.shares
        split = split_cases(request.cases, search=search, validation=validation)
        self._held_out = {case.id for case in split.held_out}
        self._suite = suite
        self._confirmed: str | None = None

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterator[Scored]:
        """Run cases under a prompt; see ``optimize.Evaluator``."""
        if prompt != self._confirmed and self._held_out.issuperset(cases):
            self._suite.restart()
            self._confirmed = prompt
        return self._suite.evaluate(prompt, cases, samples)


def source_of(store: Store, task: str) -> Source:
    """Return where a task's cases come from: its feedback if there is some and no run of its tests."""
    logged = store.tasks.find(task)
    if logged is None or not store.feedback.count(logged.id).total:
        return "suite"
    return "feedback" if store.last_whole_run(task) is None else "suite"


def measure_for(config: Config, store: Store, search: Search, launch: Launch) -> Measure:
    """Return what a search measures candidates with.

    Args:
        config: Which prompt the task runs, and who judges.
        store: Has the task's runs and feedback.
        search: The search.
        launch: How a suite is run.
    """
    if search.source == "feedback":
        return FeedbackMeasure(config, store)
    return SuiteMeasure(config, store, launch)
