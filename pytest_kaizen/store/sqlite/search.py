"""Full-text search by SQLite's FTS5.

The index is no migration: a store that only the plugin writes to has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..database import Connection
from ..words import Query

_TRIGGERS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))


class SQLiteSearch:
    """An FTS5 table; its row is the number of a trace."""

    def prepare(self, connection: Connection) -> None:
        """Make the index and the triggers where they are absent; owe it what is there already."""
        there = "SELECT 1 FROM sqlite_master WHERE name = 'search_owed'"
        if connection.execute(there).fetchone() is not None:
            return
        connection.execute("CREATE TABLE search_owed (trace INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE VIRTUAL TABLE search USING fts5 (body, tokenize = 'unicode61 remove_diacritics 0')"
        )
        connection.execute("INSERT INTO search_owed SELECT number FROM traces")
        for event, row in _TRIGGERS:
            connection.execute(
                f"CREATE TRIGGER search_{event.lower()} AFTER {event} ON traces BEGIN "
                f"INSERT INTO search_owed VALUES ({row}.number) ON CONFLICT DO NOTHING; END"
            )

    def owed(self, connection: Connection, limit: int) -> list[int]:
        """Take the numbers of traces that changed since they were indexed, at most so many."""
        rows = connection.execute("SELECT trace FROM search_owed ORDER BY trace LIMIT ?", (limit,)).fetchall()
        if rows:
            connection.execute("DELETE FROM search_owed WHERE trace <= ?", (rows[-1][0],))
        return [row[0] for row in rows]

    def put(self, connection: Connection, texts: Mapping[int, str]) -> None:
        """Index the texts of traces in place of what they had; an empty one takes a trace out."""
        connection.executemany("DELETE FROM search WHERE rowid = ?", [(number,) for number in texts])
        # FTS5 cuts a text at the first NUL.
        rows = [(number, text.replace("\0", " ")) for number, text in texts.items() if text]
        connection.executemany("INSERT INTO search (rowid, body) VALUES (?, ?)", rows)

    def compact(self, connection: Connection) -> None:
        """Drop from the index what it still holds of traces that were taken out."""
        connection.execute("INSERT INTO search (search) VALUES ('optimize')")

    def texts(self, connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
        """Return the texts that traces are indexed with, by the numbers of those that are."""
        # One by one: FTS5 would read all of its rows for a list of them.
        rows = (connection.execute("SELECT rowid, body FROM search WHERE rowid = ?", (n,)) for n in numbers)
        return dict(row.fetchone() for row in rows)

    def find(self, connection: Connection, query: Query, task: str | None, limit: int) -> list[int]:
        """Return the numbers of traces that fit, the last stored first."""
        of_task = (
            ""
            if task is None
            else "AND EXISTS (SELECT 1 FROM traces WHERE number = search.rowid AND task = ?) "
        )
        sql = f"SELECT rowid FROM search WHERE search MATCH ? {of_task}ORDER BY rowid DESC LIMIT ?"
        params = (_match(query), limit) if task is None else (_match(query), task, limit)
        return [row[0] for row in connection.execute(sql, params).fetchall()]


def _match(query: Query) -> str:
    """Write a query for FTS5. Its words are letters and digits; in quotes none is an operator."""
    wanted = " AND ".join(f'"{" ".join(phrase)}"' for phrase in query.wanted)
    unwanted = "".join(f' NOT "{" ".join(phrase)}"' for phrase in query.unwanted)
    return f"({wanted}){unwanted}"
