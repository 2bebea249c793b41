"""The work of a suite worker: it runs what it is asked for, and says what came of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping

import pytest

from ..capture import Redactor
from ..models import Case, Sample, Scored
from ..pipeline import Baselines, CasePlan, RunWriter
from ..pipeline.rollouts import rollout
from ..pipeline.suite import Answer, Ask, Suite
from ..prompts import PromptLibrary
from ..store import Store
from ..store.table import storable_json
from .case_run import CaseRun
from .items import ItemHooks, Work
from .pytest_internals import run_again, tear_down_all


class _Unkept(RunWriter):
    """Keeps nothing of a rollout: whoever asked for it is given its trace."""

    def add_sample(self, case: Case, sample: Sample) -> None:
        """Leave a sample out of the store."""


class Worker:
    """Answers requests.

    Args:
        requests: The descriptor of the pipe that they come from.
        replies: The descriptor of the pipe that the answers go to.
    """

    def __init__(self, requests: int, replies: int) -> None:
        # What a test starts must not keep the pipes open when this process is gone.
        os.set_inheritable(requests, False)
        os.set_inheritable(replies, False)
        self._requests = os.fdopen(requests, encoding="utf-8")
        self._replies = os.fdopen(replies, "w", encoding="utf-8")
        self._plans: Mapping[str, CasePlan] = {}
        self._library: PromptLibrary | None = None
        self._ended: list[tuple[CaseRun, pytest.TestReport]] = []

    def close(self) -> None:
        """Close the pipes."""
        self._requests.close()
        self._replies.close()

    def work(
        self, store: Store, library: PromptLibrary, redactor: Redactor, plans: Mapping[str, CasePlan]
    ) -> Work:
        """Say what the hooks around each test are to do: run it live, and hand it over here."""
        self._plans = {case: plan._replace(record="live") for case, plan in plans.items()}
        self._library = library
        writer = _Unkept(store, library, redactor)
        return Work("", self._plans, writer, Baselines(), None, finished=self._take)

    def _take(self, run: CaseRun, report: pytest.TestReport) -> None:
        self._ended.append((run, report))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep pytest's memory of failed tests to those of the user's own runs."""
        for name in ("lfplugin", "nfplugin"):
            if session.config.pluginmanager.has_plugin(name):
                session.config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what is asked for, in the place of all tests."""
        hooks: ItemHooks | None = session.config.pluginmanager.get_plugin("kaizen-items")
        if session.testsfailed or hooks is None:
            why = "its tests cannot be collected" if session.testsfailed else "it has no tests"
            self._say(Suite(refused=why))
            return True
        self._say(self._suite(session.items))
        items = {item.nodeid: item for item in session.items}
        for line in self._requests:
            ask = Ask.model_validate_json(line)
            self._say(self._run(ask, items.get(ask.case), hooks))
        tear_down_all(session)
        return True

    def _suite(self, items: Iterable[pytest.Item]) -> Suite:
        cases: dict[str, list[str]] = {}
        sources: dict[str, set[str]] = {}
        critical: dict[str, set[str]] = {}
        for item in items:
            plan = self._plans.get(item.nodeid)
            if plan is not None and plan.asked:
                cases.setdefault(plan.task, []).append(item.nodeid)
                files = sources.setdefault(plan.task, set())
                files.update(rubric.sha256 for rubric in plan.rubrics)
                files.add(hashlib.sha256(item.path.read_bytes()).hexdigest())
                names = critical.setdefault(plan.task, set())
                names.update(name for rubric in plan.rubrics for name in rubric.critical)
        measures = {
            task: hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
            for task, found in sources.items()
        }
        return Suite(
            cases=cases,
            measures=measures,
            critical={task: sorted(names) for task, names in critical.items()},
        )

    def _run(self, ask: Ask, item: pytest.Item | None, hooks: ItemHooks) -> Answer:
        def failed(why: str) -> Answer:
            return Answer(scored=Scored(case_id=ask.case, sample=ask.sample, error=why))

        if item is None or self._library is None:
            return failed("the suite has no such case")
        self._library.override(ask.task, ask.prompt)
        self._ended.clear()
        hooks.going_on = ask.sample
        try:
            run_again(item)
        finally:
            hooks.going_on = None
            item.user_properties.clear()
            item.session.shouldfail = item.session.shouldstop = False
        if not self._ended:
            return failed("the test did not run")
        [(run, report)] = self._ended
        if not run.samples or report.skipped:
            return failed("the test was skipped")
        if report.when == "setup":
            return failed(f"its fixtures failed: {run.samples[0].error}")
        sample = run.samples[0]
        return Answer(scored=rollout(ask.case, ask.sample, sample), trace=storable_json(sample.trace))

    def _say(self, message: Suite | Answer) -> None:
        self._replies.write(f"{message.model_dump_json()}\n")
        self._replies.flush()
