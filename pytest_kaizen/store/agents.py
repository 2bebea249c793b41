"""Agents and their runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..models import Agent, AgentRun, AgentRunStatus, Score
from . import traces
from .database import Database
from .table import Table, key

AGENTS = Table("agents", Agent, columns=("id",))
RUNS = Table("agent_runs", AgentRun, columns=("id", "agent_id", "status", "overall_score"))
AGENT = f"SELECT {AGENTS.fields} FROM agents WHERE id = ?"
NEWEST = f"SELECT {AGENTS.fields} FROM agents ORDER BY number DESC"
RUN = f"SELECT {RUNS.fields} FROM agent_runs WHERE id = ? AND agent_id = ?"
NEWEST_RUNS = f"SELECT {RUNS.fields} FROM agent_runs WHERE agent_id = ? ORDER BY number DESC LIMIT ? OFFSET ?"
SCORES = (
    "SELECT overall_score FROM agent_runs WHERE agent_id = ? AND overall_score IS NOT NULL "
    "ORDER BY number DESC LIMIT ?"
)
EVALUATE = "UPDATE agent_runs SET overall_score = ? WHERE id = ? AND overall_score IS NULL"
COUNTS = (
    "SELECT status, count(*), count(overall_score) FROM agent_runs WHERE agent_id = ? "
    "GROUP BY status ORDER BY status"
)


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
            return [AGENTS.read(row) for row in connection.execute(NEWEST).fetchall()]

    def delete(self, agent_id: str) -> bool:
        """Delete an agent with its runs, whose traces stay; return False when it is not stored."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM agent_runs WHERE agent_id = ?", (key(agent_id),))
            return connection.execute("DELETE FROM agents WHERE id = ?", (key(agent_id),)).rowcount > 0

    def add_run(self, run: AgentRun) -> bool:
        """Store a new run of a stored agent; return False, and leave all as it is, when its id is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{RUNS.insert} ON CONFLICT DO NOTHING", RUNS.row(run))
            return added.rowcount > 0

    def update_run(self, run: AgentRun) -> bool:
        """Store what a run has become; return False when it is not stored."""
        with self._database.write() as connection:
            values = (*RUNS.changes(run), key(run.id))
            return connection.execute(f"{RUNS.update} WHERE id = ?", values).rowcount > 0

    def run(self, agent_id: str, run_id: str) -> AgentRun | None:
        """Return a run of an agent; None when the agent has no such run."""
        with self._database.read() as connection:
            row = connection.execute(RUN, (key(run_id), key(agent_id))).fetchone()
        return None if row is None else RUNS.read(row)

    def runs(self, agent_id: str, limit: int = 5, offset: int = 0) -> list[AgentRun]:
        """Return runs of an agent, the newest first.

        Args:
            agent_id: The agent.
            limit: At most so many.
            offset: After so many.
        """
        with self._database.read() as connection:
            rows = connection.execute(NEWEST_RUNS, (key(agent_id), limit, offset)).fetchall()
        return [RUNS.read(row) for row in rows]

    def scores(self, agent_id: str, limit: int) -> list[float]:
        """Return what evaluations gave the runs of an agent, the newest run first; at most so many."""
        with self._database.read() as connection:
            return [row[0] for row in connection.execute(SCORES, (key(agent_id), limit)).fetchall()]

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
            rows = connection.execute(COUNTS, (key(agent_id),)).fetchall()
        by_status = {AgentRunStatus(status): count for status, count, _ in rows}
        return RunCounts(by_status, sum(scored for _, _, scored in rows))
