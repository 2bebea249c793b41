"""Runs and their cases by whole ids, as pages show them: nothing is an error that is not there."""

from __future__ import annotations

from ..models import Case, Run
from . import cases, runs
from .database import Database


class Archive:
    """Reads what test sessions left.

    All methods raise ``StoreError`` when the database cannot be read.

    Args:
        database: Where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, run_id: str) -> Run | None:
        """Return a run; None when there is none."""
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return None if number is None else runs.one(connection, number)

    def cases(self, run_id: str, task: str) -> list[Case]:
        """Return the cases of a task in a run, in the order they began.

        Their samples have what they were judged by; their traces are without spans and scores, so that
        a run of a thousand cases is listed at once.
        """
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return [] if number is None else cases.outlines(connection, number, run_id, task)

    def case(self, run_id: str, case_id: str) -> Case | None:
        """Return a case of a run with all that its last attempt did; None when there is none."""
        with self._database.read() as connection:
            number = runs.number_of(connection, run_id)
            return None if number is None else cases.one(connection, number, run_id, case_id)
