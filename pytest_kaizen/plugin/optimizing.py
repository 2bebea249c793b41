"""What follows on a failed gate with ``--kaizen-optimize``: a search for a better prompt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import pytest

from ..config import Config
from ..errors import KaizenError
from ..models import GateResult, Proposal, Run
from ..optimize import CostEstimate, Event
from ..pipeline.improve import activate_proposal, open_proposal, optimize_task, proposal_path, write_proposal
from ..pipeline.measures import SuiteMeasure
from ..pipeline.pulls.from_checkout import PullRequests
from ..pipeline.search import Search, dear_line, estimate_lines, event_line
from ..pipeline.suite import Launch
from ..pipeline.verdicts import weak_tasks, why_no_search
from ..prompts import PromptLibrary
from ..report.documents import proposal_lines
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
        tasks = [task for task in weak_tasks(run, fails) if self._settings.optimize_mode(task) != "never"]
        if not tasks:
            return
        why = why_no_search(run.ci)
        if why is not None:
            self._say(f"kaizen: no search for a better prompt: {why}")
            return
        for task in tasks:
            try:
                self._search(task, run.id, store)
            except KeyboardInterrupt:
                self._say(f"kaizen: broken off; to go on: kaizen optimize {task} --resume")
                return
            except (KaizenError, OSError) as exc:
                self._say_all([f"kaizen: no better prompt for {task}: {exc}"])
            except Exception as exc:
                # An engine is somebody else's code, and the session has its outcome by now.
                self._say_all([f"kaizen: no better prompt for {task}: {type(exc).__name__}: {exc}"])

    def _search(self, task: str, run_id: str, store: Store) -> None:
        mode = self._settings.optimize_mode(task)
        pulls = PullRequests.of(self._settings, os.environ) if mode == "pr" else None
        known = open_proposal(self._settings, store, task)
        if known is not None:
            self._finish(known, store, pulls)
            return
        if pulls is not None:
            taken = pulls.taken(task, PromptLibrary(self._settings).get(task).sha256)
            if taken is not None:
                self._say(f"kaizen: no search for a better prompt of {task}: {taken}")
                return
        search = Search.of(self._settings, task, triggered_by="gate", run_id=run_id)

        def warn(line: str) -> bool:
            self._say_all([f"kaizen: {line}"])
            return True

        def tell(estimate: CostEstimate) -> bool:
            for line in estimate_lines(task, estimate, search.budget):
                warn(line)
            dear = dear_line(task, estimate, search.budget)
            return dear is None or warn(dear)

        measure = SuiteMeasure(self._settings, store, self._launch)
        found = optimize_task(
            self._settings,
            store,
            search,
            measure,
            on_doubt=warn,
            on_estimate=tell,
            on_event=self._progress,
        )
        assert found is not None
        if found.proposal is None:
            self._say_all([f"kaizen: no better prompt for {task}: {found.sentence}"])
            return
        write_proposal(self._settings, found.proposal)
        self._finish(found.proposal, store, pulls)

    def _finish(self, proposal: Proposal, store: Store, pulls: PullRequests | None) -> None:
        self._say_all(proposal_lines(proposal))
        self._say_all([f"kaizen: evidence: {proposal_path(self._settings, proposal)}"])
        if pulls is not None:
            self._say_all([f"kaizen: {proposal.task}: {pulls.propose(store, proposal).pull_request_line}"])
        elif self._settings.optimize_mode(proposal.task) == "activate":
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
