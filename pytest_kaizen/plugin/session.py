"""The session object: what a process with ``--kaizen`` holds, from its start to its end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ..capture import Capture, Redactor
from ..errors import KaizenError, UsageError
from ..models import Outcome
from ..pipeline import NO_TASK, Baselines, CasePlan, Collected, RunWriter, Scoring, open_store
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..store import Store
from .body import SessionCassettes
from .case_run import CaseRun
from .fixture import Kaizen, SessionJudge
from .items import RUN, ItemHooks, Rounds, Work
from .keeper import Handover, Keeper, given_run, refuse
from .planning import Planner, left_out
from .worker import WORKER

if TYPE_CHECKING:
    from ..config import Config
    from ..models import GateResult, Usage

KAIZEN = pytest.StashKey["KaizenSession"]()


def open_session(config: pytest.Config, settings: Config) -> None:
    """Make the session of a pytest run and register it.

    Args:
        config: pytest's configuration.
        settings: Ours.

    Raises:
        pytest.UsageError: The prompts or the prices are wrong.
    """
    try:
        session = KaizenSession(config, settings)
    except UsageError as exc:
        raise pytest.UsageError(str(exc)) from None
    config.stash[KAIZEN] = session
    config.pluginmanager.register(session, "kaizen-session")
    session.capture.install()
    config.add_cleanup(session.close)


class KaizenSession:
    """Everything that one process with ``--kaizen`` holds, reached by the stash key ``KAIZEN``."""

    def __init__(self, config: pytest.Config, settings: Config) -> None:
        self._config = config
        self._settings = settings
        self._library = PromptLibrary(settings)
        self._library.check()
        warnings = self._pull_prompts()
        prices = load_prices(settings.prices)

        def price(model: str, usage: Usage) -> float | None:
            cost: float | None = config.hook.pytest_kaizen_price(model=model, usage=usage)
            return prices.cost(model, usage) if cost is None else cost

        self.capture = Capture(settings.endpoints, price=price)
        self._judge = SessionJudge(settings, prices)
        redactor = Redactor(os.environ, settings.redact)
        self._scoring = Scoring(redactor=redactor, judge=self._judge)
        self._cassettes = SessionCassettes(settings, redactor)
        self._plans: dict[str, CasePlan] = {}
        self._beyond: dict[str, str] = {}
        self._store: Store | None = None
        self._keeper: Keeper | None = None
        self._worker = config.stash.get(WORKER, None)
        if given_run(config) is None and self._worker is None:
            self._keeper = Keeper(config, settings, self._library, redactor, self._fails, warnings)
            config.pluginmanager.register(self._keeper, "kaizen-keeper")

    def close(self) -> None:
        """Undo the capture, close the store and the judge's connections."""
        self.capture.uninstall()
        self._judge.close()
        if self._keeper is not None:
            self._keeper.close()
        if self._store is not None:
            self._store.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Read every item's markers, before anything is deselected."""
        planner = Planner(self._settings, self._library)
        try:
            self._plans = {item.nodeid: planner.plan(item) for item in items}
        except UsageError as exc:
            raise self._refused(exc) from None
        asked = {name for name, task in self._settings.tasks.items() if task.gate or task.rubric}
        asked |= {plan.task for plan in self._plans.values() if plan.asked and plan.task != NO_TASK}
        self._beyond = left_out(config, items, sorted(asked))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the store and make ready to run, unless nothing is going to run."""
        # pytest also comes here when a marker was refused: then there are no plans.
        if session.config.option.collectonly or not session.items or not self._plans:
            return
        selected = {item.nodeid for item in session.items}
        collected = Collected.of(self._plans.values(), self._beyond, selected)
        try:
            self._store = open_store(self._settings)
            self._judge.use(self._store, self._scoring.redactor)
            work = self._work(self._store, collected)
        except KaizenError as exc:
            raise self._refused(exc) from None
        scorers = [scorer for given in self._config.hook.pytest_kaizen_scorers() for scorer in given]
        self._scoring.scorers.extend(scorers)
        hooks = ItemHooks(self._config, work, self._scoring, self._library, self._cassettes, self._fails)
        self._config.pluginmanager.register(hooks, "kaizen-items")
        if self._keeper is not None and self._keeper.book is not None:
            self._config.pluginmanager.register(Rounds(self._keeper.book, hooks, work.plan), "kaizen-rounds")

    def fixture(self, item: pytest.Item) -> Kaizen:
        """Make the value of the ``kaizen`` fixture for an item."""
        run = item.stash[RUN]
        return Kaizen(
            lambda: run.upcoming,
            self._library,
            self._scoring,
            self._settings.root,
            earlier=lambda: [sample.trace for sample in run.samples],
        )

    def _pull_prompts(self) -> list[str]:
        """Fetch the prompts that are kept elsewhere; return warnings."""
        if self._settings.prompt_source == "files":
            return []
        # A run with its own prompts need not wait for it.
        from ..pipeline.pulled import pull_prompts

        return pull_prompts(self._settings, self._library, os.environ)

    def _work(self, store: Store, collected: Collected) -> Work:
        """Say what this process is to run: the whole of a run of its own, or a part of a controller's."""
        if self._worker is not None:
            return self._worker.work(store, self._library, self._scoring.redactor, self._plans)
        run_id = given_run(self._config)
        if self._keeper is not None:
            keeper = self._keeper
            book = keeper.begin(store)
            book.start(collected)
            return Work(
                book.run.id,
                self._plans,
                book.writer,
                book.baselines,
                book.family,
                finished=lambda run, _: keeper.take_in(run),
            )
        assert run_id is not None
        writer = RunWriter(store, self._library, self._scoring.redactor)
        unsaid = [collected]

        def hand_over(run: CaseRun, report: pytest.TestReport) -> None:
            found = Handover(case=run.case, unstored=writer.unstored, edited=writer.edited)
            if unsaid:
                found.say(unsaid.pop())
            found.attach(report)

        baselines = Baselines.find(self._settings, store, collected.tasks)
        family = collected.family(self._settings)
        return Work(run_id, self._plans, writer, baselines, family, finished=hand_over)

    def _refused(self, error: KaizenError) -> pytest.UsageError:
        refuse(self._config, str(error))
        return pytest.UsageError(str(error))

    def _fails(self, result: GateResult) -> bool:
        fatal = {Outcome.FAIL} | ({Outcome.UNDECIDED} if self._settings.undecided == "fail" else set())
        return result.outcome in fatal
