"""The tables of agents, experiments, behaviours and annotations."""

from __future__ import annotations

import json

from .database import Connection


def observed(connection: Connection) -> None:
    """Make them; traces that are there already get the correlation id that their metadata holds."""
    statements = (
        """CREATE TABLE agents (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE agent_runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            agent_id TEXT NOT NULL REFERENCES agents (id),
            status TEXT NOT NULL,
            overall_score REAL,
            data TEXT NOT NULL
        )""",
        "CREATE INDEX agent_runs_by_agent ON agent_runs (agent_id, number, status, overall_score)",
        """CREATE TABLE experiments (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE behaviors (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            label TEXT NOT NULL UNIQUE,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE annotations (
            number INTEGER PRIMARY KEY,
            trace INTEGER NOT NULL REFERENCES traces (number),
            id TEXT NOT NULL UNIQUE,
            label TEXT NOT NULL,
            data TEXT NOT NULL
        )""",
        "CREATE INDEX annotations_by_trace ON annotations (trace, number)",
        "CREATE INDEX annotations_by_label ON annotations (label, number)",
        "ALTER TABLE traces ADD COLUMN correlation_id TEXT",
        "CREATE INDEX traces_by_correlation ON traces (correlation_id) WHERE correlation_id IS NOT NULL",
    )
    for statement in statements:
        connection.execute(statement)
    query = "SELECT number, data FROM traces WHERE data LIKE '%\"correlationId\"%'"
    for number, data in connection.execute(query).fetchall():
        given = json.loads(data).get("metadata", {}).get("correlationId")
        if isinstance(given, str):
            connection.execute("UPDATE traces SET correlation_id = ? WHERE number = ?", (given, number))
