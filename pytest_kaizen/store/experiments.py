"""Experiments: groups of traces by their correlation ids."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Experiment, Trace
from . import traces
from .database import Database
from .table import Table, key

EXPERIMENTS = Table("experiments", Experiment, columns=("id",))
ONE = f"SELECT {EXPERIMENTS.fields} FROM experiments WHERE id = ?"
NEWEST = f"SELECT {EXPERIMENTS.fields} FROM experiments ORDER BY number DESC"


class Experiments:
    """The table of experiments.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, experiment: Experiment) -> None:
        """Store a new experiment.

        Raises:
            StoreError: Its id is taken, or it cannot be stored.
        """
        with self._database.write() as connection:
            connection.execute(EXPERIMENTS.insert, EXPERIMENTS.row(experiment))

    def one(self, experiment_id: str) -> Experiment | None:
        """Return an experiment; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(ONE, (key(experiment_id),)).fetchone()
        return None if row is None else EXPERIMENTS.read(row)

    def newest(self) -> list[Experiment]:
        """Return all experiments, the newest first."""
        with self._database.read() as connection:
            return [EXPERIMENTS.read(row) for row in connection.execute(NEWEST).fetchall()]

    def traces(self, correlation_ids: Iterable[str]) -> list[Trace]:
        """Return the traces that have one of these correlation ids, the newest first.

        The correlation id of a trace is its ``metadata.correlationId``, or else its own id.
        """
        with self._database.read() as connection:
            return traces.correlated(connection, correlation_ids)
