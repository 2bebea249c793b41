"""Which measure a search takes: the task's tests, or what was logged about it."""

from __future__ import annotations

from ..config import Config
from ..store import Store
from .feedback.measure import FeedbackMeasure
from .search import Measure, Search, Source
from .suite import Launch
from .suite_measure import SuiteMeasure


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
