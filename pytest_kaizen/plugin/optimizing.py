"""What follows on a failed gate with ``--kaizen-optimize``: a search for a better prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from ..config import Config
from ..errors import KaizenError
from ..models import GateResult, Proposal, Run
from ..optimize import CostEstimate, Event
from ..pipeline.improve import open_proposal, optimize_task
from ..pipeline.proposals import activate_proposal, proposal_path, write_proposal
from ..pipeline.search import Search
from ..pipeline.search_lines import estimate_lines, event_line
from ..pipeline.suite import Launch
from ..pipeline.suite_measure import SuiteMeasure
from ..pipeline.weak import from_our_own, weak_tasks
from ..report.proposal import proposal_lines
from ..report.text import safe_text
from ..store import Store


class Optimizing:
    """Searches for better prompts at the end of a session; what fails in it changes no outcome.

    Args:
        config: pytest's configuration: the suite is run again as it was started.
        settings: Ours.
        say: Prints a line.
        watched: Whether somebody looks on, who wants to see progress.
    """

    def __init__(
        self, config: pytest.Config, settings: Config, say: Callable[[str], None], *, watched: bool
    ) -> None:
        self._settings = settings
        self._launch = Launch(config.invocation_params.dir, tuple(map(str, config.invocation_params.args)))
        self._say = say
        self._watched = watched

    def after(self, run: Run, store: Store, fails: Callable[[GateResult], bool]) -> None:
        """Search for a better prompt of each task that ran as a whole and of which a gate failed."""
        tasks = weak_tasks(run, fails)
        if not tasks:
            return
        if not from_our_own(run):
            self._say("kaizen: no search for a better prompt: this pull request may come from a fork")
            return
        for task in tasks:
            try:
                self._search(task, run.id, store)
            except KeyboardInterrupt:
                self._say(f"kaizen: broken off; to go on: kaizen optimize {task} --resume")
                return
            except (KaizenError, OSError) as exc:
                self._say_all([f"kaizen: no better prompt for {task}: {exc}"])

    def _search(self, task: str, run_id: str, store: Store) -> None:
        known = open_proposal(self._settings, store, task)
        if known is not None:
            self._finish(known, store)
            return
        search = Search(task, triggered_by="gate", run_id=run_id)

        def tell(estimate: CostEstimate) -> bool:
            self._say_all(f"kaizen: {line}" for line in estimate_lines(task, estimate, search.budget))
            return True

        measure = SuiteMeasure(self._settings, store, self._launch)
        found = optimize_task(
            self._settings, store, search, measure, on_estimate=tell, on_event=self._progress
        )
        assert found is not None
        if found.proposal is None:
            self._say_all([f"kaizen: no better prompt for {task}: {found.sentence}"])
            return
        write_proposal(self._settings, found.proposal)
        self._finish(found.proposal, store)

    def _finish(self, proposal: Proposal, store: Store) -> None:
        self._say_all(proposal_lines(proposal))
        self._say_all([f"kaizen: evidence: {proposal_path(self._settings, proposal)}"])
        if self._settings.optimize == "activate":
            if proposal.may_activate:
                number = activate_proposal(self._settings, store, proposal)
                self._say_all([f"kaizen: {proposal.task}: version {number} is active"])
            else:
                self._say("kaizen: not activated: that is for a person to decide")

    def _progress(self, event: Event) -> None:
        if self._watched:
            self._say_all([f"kaizen: {event_line(event)}"])

    def _say_all(self, lines: Iterable[str]) -> None:
        for line in safe_text("\n".join(lines)).splitlines():
            self._say(line)
