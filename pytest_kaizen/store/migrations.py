"""The schema, as numbered steps that are only ever added to.

The version of a database is how many steps it has taken. A step that was released is never edited; a
change is a new step at the end of ``MIGRATIONS``. Steps are written in the SQL of ``database``.
"""

from __future__ import annotations

import json

from ..models.job import made_id
from .database import Connection, Migration, Schema
from .first_tables import first_tables


def _judge_answers(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE judge_answers (
            model TEXT NOT NULL,
            rubric TEXT NOT NULL,
            content TEXT NOT NULL,
            "order" TEXT NOT NULL,
            vote INTEGER NOT NULL,
            sample INTEGER NOT NULL,
            answer TEXT NOT NULL,
            PRIMARY KEY (content, rubric, model, "order", vote, sample)
        ) WITHOUT ROWID"""
    )


def _calibrations(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE calibrations (
            number INTEGER PRIMARY KEY,
            rubric TEXT NOT NULL,
            rubric_sha256 TEXT NOT NULL,
            model TEXT NOT NULL,
            votes INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            data TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX calibrations_by_rubric ON calibrations (rubric)")


def _optimisation(connection: Connection) -> None:
    statements = (
        """CREATE TABLE rollouts (
            prompt TEXT NOT NULL,
            "case" TEXT NOT NULL,
            sample INTEGER NOT NULL,
            model TEXT NOT NULL,
            rubric TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (prompt, "case", sample, model, rubric)
        ) WITHOUT ROWID""",
        "CREATE TABLE reflections (key TEXT NOT NULL PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE looks (
            task TEXT NOT NULL,
            prompt TEXT NOT NULL,
            candidate TEXT NOT NULL,
            look INTEGER NOT NULL,
            PRIMARY KEY (task, prompt, candidate),
            UNIQUE (task, look)
        ) WITHOUT ROWID""",
        """CREATE TABLE insights (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            task TEXT NOT NULL,
            section TEXT NOT NULL,
            status TEXT NOT NULL,
            created_at TEXT,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE jobs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            task TEXT NOT NULL,
            status TEXT NOT NULL,
            created_at TEXT NOT NULL,
            data TEXT NOT NULL
        )""",
        """CREATE UNIQUE INDEX one_active_job ON jobs (kind, task)
            WHERE status IN ('queued', 'running')""",
        """CREATE TABLE proposals (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            task TEXT NOT NULL,
            parent_sha256 TEXT NOT NULL,
            status TEXT NOT NULL,
            created_at TEXT,
            data TEXT NOT NULL
        )""",
        "CREATE UNIQUE INDEX one_open_proposal ON proposals (task, parent_sha256) WHERE status = 'open'",
    )
    for statement in statements:
        connection.execute(statement)


def _outbox(connection: Connection) -> None:
    statements = (
        """CREATE TABLE outbox (
            number INTEGER PRIMARY KEY,
            backend TEXT NOT NULL,
            run_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            case_id TEXT,
            trace_id TEXT,
            key TEXT NOT NULL,
            weak TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            reason TEXT,
            UNIQUE (backend, key)
        )""",
        "CREATE INDEX outbox_by_state ON outbox (backend, state, number)",
        "CREATE INDEX outbox_by_run ON outbox (backend, run_id, state, number)",
        """CREATE TABLE outbox_runs (
            backend TEXT NOT NULL,
            run_id TEXT NOT NULL,
            remote TEXT NOT NULL,
            PRIMARY KEY (backend, run_id)
        )""",
        """CREATE TABLE outbox_backends (
            backend TEXT NOT NULL PRIMARY KEY,
            failures INTEGER NOT NULL,
            next_at TEXT,
            reason TEXT
        )""",
    )
    for statement in statements:
        connection.execute(statement)


def _job_owners(connection: Connection) -> None:
    connection.execute("ALTER TABLE jobs ADD COLUMN owner TEXT")
    connection.execute("ALTER TABLE jobs ADD COLUMN heartbeat_at TEXT")


def _feedback(connection: Connection) -> None:
    statements = (
        """CREATE TABLE tasks (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            seen INTEGER NOT NULL DEFAULT 0,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE feedback (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            task_id TEXT NOT NULL REFERENCES tasks (id),
            source TEXT NOT NULL,
            score REAL,
            trace_id TEXT,
            created_at TEXT NOT NULL,
            data TEXT NOT NULL,
            UNIQUE (task_id, trace_id)
        )""",
        "CREATE INDEX feedback_by_task ON feedback (task_id, number, source)",
    )
    for statement in statements:
        connection.execute(statement)


def _columns_for_lists(connection: Connection) -> None:
    """Turn what lists select by into columns: no query looks into JSON."""
    connection.execute("ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'tests'")
    connection.execute("ALTER TABLE task_summaries ADD COLUMN partial TEXT")
    for number, data in connection.execute("SELECT number, data FROM runs").fetchall():
        rest = json.loads(data)
        kind = rest.pop("kind", "tests")
        connection.execute(
            "UPDATE runs SET kind = ?, data = ? WHERE number = ?", (kind, json.dumps(rest), number)
        )
    for run, position, data in connection.execute(
        "SELECT run, position, data FROM task_summaries"
    ).fetchall():
        rest = json.loads(data)
        partial = rest.pop("partial", None)
        connection.execute(
            "UPDATE task_summaries SET partial = ?, data = ? WHERE run = ? AND position = ?",
            (partial, json.dumps(rest), run, position),
        )


def _idempotency(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE idempotency (
            key TEXT NOT NULL PRIMARY KEY,
            request TEXT NOT NULL,
            status INTEGER NOT NULL,
            body TEXT NOT NULL,
            expires_at TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX idempotency_by_expiry ON idempotency (expires_at)")


def _proposals_with_pull_requests(connection: Connection) -> None:
    connection.execute("DROP INDEX one_open_proposal")
    connection.execute(
        """CREATE UNIQUE INDEX one_open_proposal ON proposals (task, parent_sha256)
            WHERE status NOT IN ('activated', 'dismissed')"""
    )


def _rollouts(connection: Connection) -> None:
    connection.execute("ALTER TABLE traces ADD COLUMN job_id TEXT")


def _served(connection: Connection) -> None:
    connection.execute("CREATE TABLE ratings (trace_id TEXT NOT NULL PRIMARY KEY, rating TEXT, comment TEXT)")
    connection.execute(
        """CREATE TABLE activations (
            task TEXT NOT NULL,
            version INTEGER NOT NULL,
            active INTEGER NOT NULL,
            PRIMARY KEY (task, version)
        )"""
    )


def observed(connection: Connection) -> None:
    """Make the tables of agents, experiments, behaviours and annotations.

    Traces that are there already get the correlation id that their metadata holds.
    """
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


def _sealed(connection: Connection) -> None:
    connection.execute(
        """CREATE TABLE sealed (
            kind TEXT NOT NULL,
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            token TEXT NOT NULL,
            PRIMARY KEY (kind, owner, name)
        )"""
    )


def _integrations(connection: Connection) -> None:
    connection.execute("CREATE TABLE integrations (name TEXT NOT NULL PRIMARY KEY, data TEXT NOT NULL)")


def _jobs_by_task(connection: Connection) -> None:
    connection.execute("CREATE INDEX jobs_by_task ON jobs (task, kind, number)")


def _jobs_by_uuid(connection: Connection) -> None:
    connection.execute("ALTER TABLE jobs ADD COLUMN uuid TEXT")
    for number, name in connection.execute("SELECT number, id FROM jobs").fetchall():
        values = (str(made_id("job", name)), number)
        connection.execute("UPDATE jobs SET uuid = ? WHERE number = ?", values)
    connection.execute("CREATE UNIQUE INDEX jobs_by_uuid ON jobs (uuid)")
    connection.execute("CREATE INDEX jobs_by_kind ON jobs (kind, number)")
    connection.execute("CREATE INDEX jobs_by_task_alone ON jobs (task, number)")


MIGRATIONS: tuple[Migration, ...] = (
    first_tables,
    _judge_answers,
    _calibrations,
    _optimisation,
    _job_owners,
    _outbox,
    _feedback,
    _columns_for_lists,
    _idempotency,
    _proposals_with_pull_requests,
    _rollouts,
    _served,
    observed,
    _sealed,
    _integrations,
    _jobs_by_task,
    _jobs_by_uuid,
)
#: What a store holds. Its mark, "KAIZ", keeps us from writing to another program's file.
STORE = Schema(0x4B41495A, MIGRATIONS)
