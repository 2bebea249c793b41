"""The groups of tables, each loaded when it is first asked for.

A run of tests stores cases, samples and prompt versions. To load what it has no use for, and to build
the models of that, would be a third of what it takes to open the store.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activations import Activations
    from .agents import Agents
    from .annotations import Annotations
    from .database import Database
    from .experiments import Experiments
    from .feedback import FeedbackLog
    from .idempotency import Idempotency
    from .intake import Intake
    from .integrations import Integrations
    from .jobs import Jobs
    from .ratings import Ratings
    from .received import ReceivedRuns
    from .retention import Retention
    from .sealed import Sealed
    from .shelf import Shelf
    from .tasks import Tasks


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
    tasks: Tasks = _group("tasks.Tasks")
    jobs: Jobs = _group("jobs.Jobs")
    shelf: Shelf = _group("shelf.Shelf")
    idempotency: Idempotency = _group("idempotency.Idempotency")
    retention: Retention = _group("retention.Retention")
    intake: Intake = _group("intake.Intake")
    ratings: Ratings = _group("ratings.Ratings")
    received: ReceivedRuns = _group("received.ReceivedRuns")
    activations: Activations = _group("activations.Activations")
    agents: Agents = _group("agents.Agents")
    experiments: Experiments = _group("experiments.Experiments")
    annotations: Annotations = _group("annotations.Annotations")
    sealed: Sealed = _group("sealed.Sealed")
    integrations: Integrations = _group("integrations.Integrations")

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
