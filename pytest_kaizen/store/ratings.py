"""What people think of traces, also of those that have not arrived yet."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from .database import Database
from .table import key


class Rating(BaseModel, defer_build=True):
    """What somebody thinks of a trace.

    Attributes:
        rating: Thumbs up or down; None where only a comment was given.
    """

    rating: Literal["up", "down"] | None = None
    comment: str | None = None


class Ratings:
    """The table of ratings, by the id of the trace.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, trace_id: str, given: Rating) -> Rating:
        """Store a rating over an earlier one, which keeps what this one does not say; return the whole."""
        query = (
            "INSERT INTO ratings (trace_id, rating, comment) VALUES (?, ?, ?) ON CONFLICT (trace_id) "
            "DO UPDATE SET rating = COALESCE(excluded.rating, ratings.rating), "
            "comment = COALESCE(excluded.comment, ratings.comment) RETURNING rating, comment"
        )
        comment = None if given.comment is None else key(given.comment)
        with self._database.write() as connection:
            rating, comment = connection.execute(query, (key(trace_id), given.rating, comment)).fetchone()
        return Rating(rating=rating, comment=comment)

    def one(self, trace_id: str) -> Rating | None:
        """Return the rating of a trace; None when nobody has given one."""
        query = "SELECT rating, comment FROM ratings WHERE trace_id = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(trace_id),)).fetchone()
        return None if row is None else Rating(rating=row[0], comment=row[1])
