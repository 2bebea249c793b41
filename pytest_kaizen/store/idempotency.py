"""Answers that were given under an ``Idempotency-Key``, so that a request sent twice does its work once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from ..errors import StoreError
from .database import Database
from .table import key, utc_text


class Answered(NamedTuple):
    """An answer as it was given.

    Attributes:
        request: The SHA-256 of the request (method, path and body) that it answers.
        status: The HTTP status.
        body: The body, as text.
    """

    request: str
    status: int
    body: str


class KeyReused(StoreError):  # noqa: N818 - it names what happened
    """An idempotency key came with another request than the one that it was first sent with."""


class Idempotency:
    """The answers of one workspace by their keys, each until it expires."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, given: str, now: datetime) -> Answered | None:
        """Return the answer that was kept under a key and has not expired."""
        query = "SELECT request, status, body FROM idempotency WHERE key = ? AND expires_at > ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(given), utc_text(now))).fetchone()
        return None if row is None else Answered(*row)

    def once(
        self, given: str, request: str, *, now: datetime, expires_at: datetime, work: Callable[[], Answered]
    ) -> Answered:
        """Return the answer kept under a key, or do the work and keep its answer.

        To be called in a group (``GroupWriter.submit``): what the work stores and its answer are then
        stored together or not at all.

        Args:
            given: The key.
            request: The SHA-256 of the request.
            now: The time.
            expires_at: From when on the key may be used anew.
            work: Does what was requested.

        Raises:
            KeyReused: The key was sent with another request.
        """
        found = self.find(given, now)
        if found is None:
            answer = work()
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO idempotency (key, request, status, body, expires_at) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (key) DO UPDATE SET request = excluded.request, status = excluded.status, "
                    "body = excluded.body, expires_at = excluded.expires_at",
                    (key(given), answer.request, answer.status, answer.body, utc_text(expires_at)),
                )
            return answer
        if found.request != request:
            raise KeyReused("this Idempotency-Key came with another request before; use a new one")
        return found

    def forget(self, now: datetime) -> int:
        """Remove what has expired; return how many there were."""
        with self._database.write() as connection:
            return connection.execute(
                "DELETE FROM idempotency WHERE expires_at <= ?", (utc_text(now),)
            ).rowcount
