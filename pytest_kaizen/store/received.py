"""Runs that other machines made, as a server keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import StoreError
from ..models import Case, Run, Sample
from . import cases, runs, traces
from .database import Connection, Database
from .traces import Place


class ReceivedRuns:
    """Takes in runs and cases that are complete; taking one in again changes nothing.

    All methods raise ``StoreError`` when the database cannot be written.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_run(self, run: Run) -> None:
        """Store a run, or what it has become. One that has ended stays so, whatever comes late."""
        with self._database.write() as connection:
            number = runs.number_of(connection, run.id)
            if number is None:
                runs.add(connection, run)
            elif run.finished_at is not None:
                runs.update(connection, number, run)

    def has_run(self, run_id: str) -> bool:
        """Say whether a run is there, by its whole id."""
        with self._database.read() as connection:
            return runs.number_of(connection, run_id) is not None

    def put_cases(self, run_id: str, arrived: Iterable[Case]) -> None:
        """Store cases of a run with their samples, of which traces may be there already.

        Raises:
            StoreError: The run is not there, or a case is of another run.
        """
        with self._database.write() as connection:
            number = runs.number_of(connection, run_id)
            if number is None:
                raise StoreError(f"there is no run {run_id!r}", path=self._database.path)
            for case in arrived:
                if case.run_id != run_id:
                    raise StoreError(f"case {case.id!r} is of another run", path=self._database.path)
                place = _place(connection, number, case)
                for sample in case.samples:
                    _put(connection, place, sample)


def _place(connection: Connection, run: int, case: Case) -> Place:
    """Store a case and return where its samples belong: beside those it has, or in a further attempt."""
    known = cases.one(connection, run, case.run_id, case.id)
    there = {sample.trace.id for sample in known.samples} if known else set[str]()
    if known is None or (there and there.isdisjoint(sample.trace.id for sample in case.samples)):
        return cases.start(connection, run, case)
    place = cases.place(connection, case)
    assert place is not None
    cases.finish(connection, place.case, case)
    return place


def _put(connection: Connection, place: Place, sample: Sample) -> None:
    """Store a sample. A trace that came on another way keeps the scores and metadata that only it has."""
    number = traces.number_of(connection, sample.trace.id)
    if number is None:
        traces.add_sample(connection, place, sample)
        return
    known = traces.one(connection, number)
    ours = {score.name for score in sample.trace.scores}
    others = [score for score in known.scores if score.name not in ours]
    whole = sample.trace.model_copy(
        update={
            "scores": [*sample.trace.scores, *others],
            "metadata": known.metadata | sample.trace.metadata,
        }
    )
    traces.replace(connection, number, whole)
    traces.make_sample(connection, number, place, sample)
