"""The groups of tables, each loaded when it is first asked for.

A run of tests stores cases, samples and prompt versions. To load what it has no use for, and to build
the models of that, would be a third of what it takes to open the store.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .archive import Retention, Shelf
    from .database import Database
    from .feedback import FeedbackLog, Ratings, Tasks
    from .intake import Idempotency, Intake, ReceivedRuns
    from .jobs import Jobs
    from .observing import Agents, Annotations, Experiments
    from .prompts import Activations
    from .sealed import Integrations, Sealed


def _group(place: str) -> Any:
    """Make an attribute for a group: ``module.Class``, the class taking the database."""
    module, _, name = place.partition(".")

    def make(groups: Groups) -> Any:
        return getattr(import_module(f".{module}", __package__), name)(groups._database)

    return cached_property(make)


class Groups:
    """Groups of tables over one database.

    Attributes:
        feedback: What programs logged about tasks.
        tasks: The tasks that are known by their feedback.
        jobs: Long pieces of work.
        shelf: Traces as people handle them.
        idempotency: Answers that were given under an ``Idempotency-Key``.
        retention: Deletes what is old.
        intake: Traces that come from outside.
        ratings: What people think of traces.
        received: Runs that other machines made.
        activations: Which prompt versions are active on a server.
        agents: Programs of which runs are reported, and these.
        experiments: Groups of traces.
        annotations: Behaviours, and which traces show them.
        sealed: Secrets, encrypted.
        integrations: What is set of the connections to other platforms.
    """

    feedback: FeedbackLog = _group("feedback.FeedbackLog")
    tasks: Tasks = _group("feedback.Tasks")
    jobs: Jobs = _group("jobs.Jobs")
    shelf: Shelf = _group("archive.Shelf")
    idempotency: Idempotency = _group("intake.Idempotency")
    retention: Retention = _group("archive.Retention")
    intake: Intake = _group("intake.Intake")
    ratings: Ratings = _group("feedback.Ratings")
    received: ReceivedRuns = _group("intake.ReceivedRuns")
    activations: Activations = _group("prompts.Activations")
    agents: Agents = _group("observing.Agents")
    experiments: Experiments = _group("observing.Experiments")
    annotations: Annotations = _group("observing.Annotations")
    sealed: Sealed = _group("sealed.Sealed")
    integrations: Integrations = _group("sealed.Integrations")

    def __init__(self, database: Database) -> None:
        self._database = database


class LateModule:
    """Stands for a module beside this one, until something of it is asked for.

    Args:
        name: The module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(f".{self._name}", __package__), name)
        setattr(self, name, found)
        return found
