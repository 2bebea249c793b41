"""Further samples of a whole task, while a gate on it is undecided."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from ..pipeline import CasePlan, RunBook
from .items import ItemHooks
from .pytest_internals import run_again, tear_down_all


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
