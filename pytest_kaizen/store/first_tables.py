"""The first step of the schema: the tables of runs, cases, traces, gates and prompts."""

from __future__ import annotations

from .database import Connection


def first_tables(connection: Connection) -> None:
    """Make them."""
    statements = (
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            finished_at TEXT,
            status TEXT NOT NULL,
            exit_status INTEGER,
            revision TEXT,
            branch TEXT,
            data TEXT NOT NULL
        )""",
        "CREATE INDEX runs_by_time ON runs (created_at)",
        """CREATE TABLE task_summaries (
            run INTEGER NOT NULL REFERENCES runs (number),
            position INTEGER NOT NULL,
            task TEXT NOT NULL,
            cases INTEGER NOT NULL,
            samples INTEGER NOT NULL,
            score REAL,
            pass_rate REAL,
            cost_usd REAL,
            data TEXT NOT NULL,
            PRIMARY KEY (run, position)
        )""",
        """CREATE TABLE cases (
            number INTEGER PRIMARY KEY,
            run INTEGER NOT NULL REFERENCES runs (number),
            attempt INTEGER NOT NULL DEFAULT 1,
            id TEXT NOT NULL,
            task TEXT NOT NULL,
            outcome TEXT NOT NULL,
            complete INTEGER NOT NULL,
            data TEXT NOT NULL,
            UNIQUE (run, id)
        )""",
        "CREATE INDEX cases_by_id ON cases (id)",
        """CREATE TABLE traces (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            run_id TEXT,
            task TEXT,
            case_id TEXT,
            sample INTEGER NOT NULL,
            name TEXT NOT NULL,
            created_at TEXT NOT NULL,
            error TEXT,
            data TEXT NOT NULL,
            case_number INTEGER REFERENCES cases (number),
            attempt INTEGER,
            passed INTEGER,
            verdict TEXT
        )""",
        "CREATE INDEX traces_by_time ON traces (created_at)",
        "CREATE INDEX traces_by_task ON traces (task, created_at)",
        "CREATE INDEX traces_by_case ON traces (case_number, attempt)",
        """CREATE TABLE spans (
            trace INTEGER NOT NULL REFERENCES traces (number),
            position INTEGER NOT NULL,
            id TEXT NOT NULL,
            parent_id TEXT,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            provider TEXT,
            model TEXT,
            cost_usd REAL,
            started_at TEXT NOT NULL,
            latency_ms REAL,
            replayed INTEGER NOT NULL,
            error TEXT,
            data TEXT NOT NULL,
            PRIMARY KEY (trace, position)
        )""",
        """CREATE TABLE scores (
            trace INTEGER NOT NULL REFERENCES traces (number),
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            value REAL,
            source TEXT NOT NULL,
            rubric TEXT,
            error TEXT,
            data TEXT NOT NULL,
            PRIMARY KEY (trace, position)
        ) WITHOUT ROWID""",
        """CREATE TABLE prompts (
            task TEXT NOT NULL,
            version INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            source TEXT NOT NULL,
            eval_score REAL,
            created_at TEXT,
            data TEXT NOT NULL,
            PRIMARY KEY (task, version)
        )""",
        """CREATE TABLE gates (
            run INTEGER,
            case_number INTEGER REFERENCES cases (number),
            summary INTEGER,
            position INTEGER NOT NULL,
            task TEXT NOT NULL,
            name TEXT NOT NULL,
            figure REAL,
            outcome TEXT NOT NULL,
            data TEXT NOT NULL,
            CHECK ((case_number IS NULL) = (run IS NOT NULL AND summary IS NOT NULL)),
            FOREIGN KEY (run, summary) REFERENCES task_summaries (run, position)
        )""",
        "CREATE INDEX gates_by_case ON gates (case_number, position)",
        "CREATE INDEX gates_by_summary ON gates (run, summary, position)",
    )
    for statement in statements:
        connection.execute(statement)
