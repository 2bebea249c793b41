"""What is observed of programs: agents and their runs, experiments, behaviours and annotations of traces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..models import Agent, AgentRun, AgentRunStatus, Annotation, Behavior, Experiment, Score, Trace
from . import traces
from .database import Database
from .table import Table, key

AGENTS = Table("agents", Agent, columns=("id",))
AGENT_RUNS = Table("agent_runs", AgentRun, columns=("id", "agent_id", "status", "overall_score"))
AGENT = f"SELECT {AGENTS.fields} FROM agents WHERE id = ?"
NEWEST_AGENTS = f"SELECT {AGENTS.fields} FROM agents ORDER BY number DESC"
AGENT_RUN = f"SELECT {AGENT_RUNS.fields} FROM agent_runs WHERE id = ? AND agent_id = ?"
NEWEST_AGENT_RUNS = (
    f"SELECT {AGENT_RUNS.fields} FROM agent_runs WHERE agent_id = ? ORDER BY number DESC LIMIT ? OFFSET ?"
)
SCORES_OF_AGENT = (
    "SELECT overall_score FROM agent_runs WHERE agent_id = ? AND overall_score IS NOT NULL "
    "ORDER BY number DESC LIMIT ?"
)
EVALUATE = "UPDATE agent_runs SET overall_score = ? WHERE id = ? AND overall_score IS NULL"
COUNTS_OF_AGENT = (
    "SELECT status, count(*), count(overall_score) FROM agent_runs WHERE agent_id = ? "
    "GROUP BY status ORDER BY status"
)

EXPERIMENTS = Table("experiments", Experiment, columns=("id",))
EXPERIMENT = f"SELECT {EXPERIMENTS.fields} FROM experiments WHERE id = ?"
NEWEST_EXPERIMENTS = f"SELECT {EXPERIMENTS.fields} FROM experiments ORDER BY number DESC"

BEHAVIORS = Table("behaviors", Behavior, columns=("id", "label"))
ANNOTATIONS = Table(
    "annotations", Annotation, keys=("trace",), columns=("id", "label"), elsewhere=("trace_id",)
)
NEWEST_BEHAVIORS = f"SELECT {BEHAVIORS.fields} FROM behaviors ORDER BY number DESC"
PUT_ANNOTATION = f"{ANNOTATIONS.insert} ON CONFLICT (id) DO UPDATE SET data = excluded.data"
_FILTERS = {"trace_id": "traces.id = ?", "label": "annotations.label = ?"}


class RunCounts(NamedTuple):
    """How many runs an agent has.

    Attributes:
        by_status: Without those that no run has.
        scored: Those that an evaluation gave a score.
    """

    by_status: dict[AgentRunStatus, int]
    scored: int


class Agents:
    """The tables of agents and of their runs.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, agent: Agent) -> bool:
        """Store a new agent; return False, and leave all as it is, when its id is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{AGENTS.insert} ON CONFLICT DO NOTHING", AGENTS.row(agent))
            return added.rowcount > 0

    def update(self, agent: Agent) -> bool:
        """Store what an agent has become; return False when it is not stored."""
        with self._database.write() as connection:
            values = (*AGENTS.changes(agent), key(agent.id))
            return connection.execute(f"{AGENTS.update} WHERE id = ?", values).rowcount > 0

    def one(self, agent_id: str) -> Agent | None:
        """Return an agent; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(AGENT, (key(agent_id),)).fetchone()
        return None if row is None else AGENTS.read(row)

    def newest(self) -> list[Agent]:
        """Return all agents, the newest first."""
        with self._database.read() as connection:
            return [AGENTS.read(row) for row in connection.execute(NEWEST_AGENTS).fetchall()]

    def delete(self, agent_id: str) -> bool:
        """Delete an agent with its runs, whose traces stay; return False when it is not stored."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM agent_runs WHERE agent_id = ?", (key(agent_id),))
            return connection.execute("DELETE FROM agents WHERE id = ?", (key(agent_id),)).rowcount > 0

    def add_run(self, run: AgentRun) -> bool:
        """Store a new run of a stored agent; return False, and leave all as it is, when its id is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{AGENT_RUNS.insert} ON CONFLICT DO NOTHING", AGENT_RUNS.row(run))
            return added.rowcount > 0

    def update_run(self, run: AgentRun) -> bool:
        """Store what a run has become; return False when it is not stored."""
        with self._database.write() as connection:
            values = (*AGENT_RUNS.changes(run), key(run.id))
            return connection.execute(f"{AGENT_RUNS.update} WHERE id = ?", values).rowcount > 0

    def run(self, agent_id: str, run_id: str) -> AgentRun | None:
        """Return a run of an agent; None when the agent has no such run."""
        with self._database.read() as connection:
            row = connection.execute(AGENT_RUN, (key(run_id), key(agent_id))).fetchone()
        return None if row is None else AGENT_RUNS.read(row)

    def runs(self, agent_id: str, limit: int = 5, offset: int = 0) -> list[AgentRun]:
        """Return runs of an agent, the newest first.

        Args:
            agent_id: The agent.
            limit: At most so many.
            offset: After so many.
        """
        with self._database.read() as connection:
            rows = connection.execute(NEWEST_AGENT_RUNS, (key(agent_id), limit, offset)).fetchall()
        return [AGENT_RUNS.read(row) for row in rows]

    def scores(self, agent_id: str, limit: int) -> list[float]:
        """Return what evaluations gave the runs of an agent, the newest run first; at most so many."""
        with self._database.read() as connection:
            return [row[0] for row in connection.execute(SCORES_OF_AGENT, (key(agent_id), limit)).fetchall()]

    def evaluated(self, run_id: str, overall_score: float, trace_id: str, scores: Iterable[Score]) -> bool:
        """Store what an evaluation gave a run, and the scores of its trace.

        Returns:
            Whether it did; False, and all stays as it is, when the run has a score or is not stored.
        """
        with self._database.write() as connection:
            if connection.execute(EVALUATE, (overall_score, key(run_id))).rowcount == 0:
                return False
            trace = traces.number_of(connection, trace_id)
            if trace is not None:
                for score in scores:
                    traces.add_score(connection, trace, score)
            return True

    def count_runs(self, agent_id: str) -> RunCounts:
        """Count the runs of an agent."""
        with self._database.read() as connection:
            rows = connection.execute(COUNTS_OF_AGENT, (key(agent_id),)).fetchall()
        by_status = {AgentRunStatus(status): count for status, count, _ in rows}
        return RunCounts(by_status, sum(scored for _, _, scored in rows))


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
            row = connection.execute(EXPERIMENT, (key(experiment_id),)).fetchone()
        return None if row is None else EXPERIMENTS.read(row)

    def newest(self) -> list[Experiment]:
        """Return all experiments, the newest first."""
        with self._database.read() as connection:
            return [EXPERIMENTS.read(row) for row in connection.execute(NEWEST_EXPERIMENTS).fetchall()]

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


class Annotations:
    """The tables of behaviours and annotations.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_behavior(self, behavior: Behavior) -> bool:
        """Store a new behaviour; return False, and leave all as it is, when its label is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{BEHAVIORS.insert} ON CONFLICT DO NOTHING", BEHAVIORS.row(behavior))
            return added.rowcount > 0

    def behaviors(self) -> list[Behavior]:
        """Return all behaviours, the newest first."""
        with self._database.read() as connection:
            return [BEHAVIORS.read(row) for row in connection.execute(NEWEST_BEHAVIORS).fetchall()]

    def add(self, annotation: Annotation) -> bool:
        """Store a new annotation, which goes with its trace; return False when there is no such trace."""
        with self._database.write() as connection:
            trace = traces.number_of(connection, annotation.trace_id)
            if trace is None:
                return False
            connection.execute(ANNOTATIONS.insert, (trace, *ANNOTATIONS.row(annotation)))
            return True

    def put(self, annotations: Iterable[Annotation]) -> list[Annotation]:
        """Store annotations, or what they have become, by their ids; return those whose trace is there."""
        with self._database.write() as connection:
            kept = []
            for annotation in annotations:
                trace = traces.number_of(connection, annotation.trace_id)
                if trace is not None:
                    connection.execute(PUT_ANNOTATION, (trace, *ANNOTATIONS.row(annotation)))
                    kept.append(annotation)
            return kept

    def newest(self, *, trace_id: str | None = None, label: str | None = None) -> list[Annotation]:
        """Return annotations, the newest first.

        Args:
            trace_id: Of this trace only.
            label: With this label only.
        """
        wanted = {"trace_id": trace_id, "label": label}
        values = {name: key(value) for name, value in wanted.items() if value is not None}
        with self._database.read() as connection:
            rows = connection.execute(annotations_query(values), tuple(values.values())).fetchall()
        return [ANNOTATIONS.read(tuple(row[1:]), trace_id=row[0]) for row in rows]


def annotations_query(filters: dict[str, str]) -> str:
    """Return the query for annotations of which some fields are given."""
    wheres = " AND ".join(_FILTERS[name] for name in filters) or "TRUE"
    return (
        f"SELECT traces.id, {ANNOTATIONS.fields} FROM annotations JOIN traces ON traces.number = trace "
        f"WHERE {wheres} ORDER BY annotations.number DESC"
    )
