"""The indexes of full text: SQLite's FTS5, and PostgreSQL's ``tsvector``.

An index is no migration: a store that only the plugin writes to has none. PostgreSQL's entries are
written as texts, so that the words are those of every home and none is passed over by a parser of its
own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .database import Connection
from .search import Query, words

_TRIGGERS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))

#: Positions in a text end here; later words are found, but not in phrases.
_LAST_POSITION = 16_383
_MOST_POSITIONS = 255
#: PostgreSQL takes words of up to 2046 bytes.
_LONGEST_WORD = 500
_STATEMENTS = (
    "CREATE TABLE search (trace INTEGER PRIMARY KEY, body TEXT NOT NULL, words TSVECTOR NOT NULL)",
    "CREATE INDEX search_words ON search USING gin (words)",
    "INSERT INTO search_owed SELECT number FROM traces",
    """CREATE FUNCTION search_owe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO search_owed VALUES (CASE TG_OP WHEN 'DELETE' THEN OLD.number ELSE NEW.number END)
        ON CONFLICT DO NOTHING; RETURN NULL; END $$""",
    """CREATE TRIGGER search_trace AFTER INSERT OR UPDATE OR DELETE ON traces
        FOR EACH ROW EXECUTE FUNCTION search_owe()""",
)


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
        # From where FTS5 keeps them: of itself it would read all of its rows for a list, and for one at a
        # time Python's lock would change hands with each, which waits for whoever takes traces in.
        query = f"SELECT id, c0 FROM search_content WHERE id IN ({', '.join('?' * len(numbers))})"
        return dict(connection.execute(query, numbers).fetchall())

    def find(self, connection: Connection, query: Query, task: str | None, limit: int) -> list[int]:
        """Return the numbers of traces that fit, the last stored first."""
        of_task = (
            ""
            if task is None
            else "AND EXISTS (SELECT 1 FROM traces WHERE number = search.rowid AND task = ?) "
        )
        sql = f"SELECT rowid FROM search WHERE search MATCH ? {of_task}ORDER BY rowid DESC LIMIT ?"
        params = (_fts5_query(query), limit) if task is None else (_fts5_query(query), task, limit)
        # As one row: Python's lock changes hands with each.
        (found,) = connection.execute(f"SELECT group_concat(rowid) FROM ({sql})", params).fetchone()
        return [] if found is None else sorted(map(int, found.split(",")), reverse=True)


def _fts5_query(query: Query) -> str:
    """Write a query for FTS5. Its words are letters and digits; in quotes none is an operator."""
    wanted = " AND ".join(f'"{" ".join(phrase)}"' for phrase in query.wanted)
    unwanted = "".join(f' NOT "{" ".join(phrase)}"' for phrase in query.unwanted)
    return f"({wanted}){unwanted}"


class PostgresSearch:
    """A table of its own beside the traces, with a GIN index."""

    def prepare(self, connection: Connection) -> None:
        """Make the index and the triggers where they are absent; owe it what is there already."""
        there = "SELECT to_regclass(current_schema || '.search_owed') IS NOT NULL"
        if connection.execute(there).fetchone()[0]:
            return
        connection.execute("CREATE TABLE search_owed (trace INTEGER PRIMARY KEY)")
        for statement in _STATEMENTS:
            connection.execute(statement)

    def owed(self, connection: Connection, limit: int) -> list[int]:
        """Take the numbers of traces that changed since they were indexed, at most so many."""
        rows = connection.execute(
            "DELETE FROM search_owed WHERE trace IN (SELECT trace FROM search_owed ORDER BY trace LIMIT ?) "
            "RETURNING trace",
            (limit,),
        ).fetchall()
        return sorted(row[0] for row in rows)

    def put(self, connection: Connection, texts: Mapping[int, str]) -> None:
        """Index the texts of traces in place of what they had; an empty one takes a trace out."""
        marks = ", ".join("?" * len(texts))
        connection.execute(f"DELETE FROM search WHERE trace IN ({marks})", list(texts))
        rows = [(number, text, _vector(words(text))) for number, text in texts.items() if text]
        connection.executemany("INSERT INTO search (trace, body, words) VALUES (?, ?, ?)", rows)

    def compact(self, connection: Connection) -> None:
        """Nothing: the server writes its index anew when the table's space is given back."""

    def texts(self, connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
        """Return the texts that traces are indexed with, by the numbers of those that are."""
        if not numbers:
            return {}
        query = f"SELECT trace, body FROM search WHERE trace IN ({', '.join('?' * len(numbers))})"
        return dict(connection.execute(query, numbers).fetchall())

    def find(self, connection: Connection, query: Query, task: str | None, limit: int) -> list[int]:
        """Return the numbers of traces that fit, the last stored first."""
        of_task = (
            ""
            if task is None
            else "AND EXISTS (SELECT 1 FROM traces WHERE number = search.trace AND task = ?) "
        )
        sql = (
            f"SELECT trace FROM search WHERE words @@ CAST(? AS tsquery) {of_task}ORDER BY trace DESC LIMIT ?"
        )
        params = (_ts_query(query), limit) if task is None else (_ts_query(query), task, limit)
        return [row[0] for row in connection.execute(sql, params).fetchall()]


def _vector(text: list[str]) -> str:
    """Write words with their positions; they are letters and digits, so quotes hold them."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for word, position in zip(text, map(str, range(1, _LAST_POSITION + 1)), strict=False):
        places[word].append(position)
    # PostgreSQL joins what stands twice, as words do that are the same as far as it takes them.
    placed = [
        f"'{word[:_LONGEST_WORD]}':{','.join(found[:_MOST_POSITIONS])}" for word, found in places.items()
    ]
    return " ".join([*placed, *(f"'{word[:_LONGEST_WORD]}'" for word in text[_LAST_POSITION:])])


def _ts_query(query: Query) -> str:
    wanted = [f"({_phrase(phrase)})" for phrase in query.wanted]
    return " & ".join([*wanted, *(f"!({_phrase(phrase)})" for phrase in query.unwanted)])


def _phrase(phrase: list[str]) -> str:
    return " <-> ".join(f"'{word[:_LONGEST_WORD]}'" for word in phrase)
