"""What a database is to hold, apart from where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .database import Connection

Migration = Callable[[Connection], None]


class Schema(NamedTuple):
    """The tables of a database.

    Attributes:
        mark: Tells a database of this schema from any other: SQLite's ``application_id``.
        steps: What makes the tables, in order; only ever added to.
    """

    mark: int
    steps: tuple[Migration, ...]

    def take_steps(self, connection: Connection, taken: int) -> None:
        """Take the steps that a database has not taken yet."""
        for step in self.steps[taken:]:
            step(connection)
