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

    def mean_scores(self, correlation_ids: Iterable[str]) -> dict[str, float]:
        """Return the mean of each score over those traces; of one that a trace has twice, the last counts."""
        given = [key(one) for one in dict.fromkeys(correlation_ids)]
        if not given:
            return {}
        with self._database.read() as connection:
            return dict(connection.execute(means_query(len(given)), (*given, *given)).fetchall())


def means_query(count: int) -> str:
    """Make the query for mean scores; its parameters are so many correlation ids, twice."""
    ids = ", ".join("?" * count)
    return (
        "SELECT scores.name, AVG(scores.value) FROM traces JOIN scores ON scores.trace = traces.number "
        f"WHERE (correlation_id IN ({ids}) OR (traces.id IN ({ids}) AND correlation_id IS NULL)) "
        "AND scores.value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scores AS later "
        "WHERE later.trace = scores.trace AND later.name = scores.name "
        "AND later.position > scores.position AND later.value IS NOT NULL) "
        "GROUP BY scores.name ORDER BY scores.name"
    )
