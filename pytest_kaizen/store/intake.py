"""What a server takes in: traces from outside, runs that other machines made, and each request once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from ..errors import StoreError
from ..models import Case, Run, Sample, Trace
from . import runs, traces
from .database import Connection, Database
from .table import key, utc_text
from .traces import Page, Place


class Intake:
    """Takes in traces that no case of ours has made.

    A trace that comes in parts is read, put together and stored in one group (``GroupWriter.submit``).

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, arrived: Iterable[Trace]) -> None:
        """Store what traces are now, new ones and known ones alike; what one is a sample of stays."""
        with self._database.write() as connection:
            for trace in arrived:
                number = traces.number_of(connection, trace.id)
                if number is None:
                    traces.add(connection, trace)
                else:
                    traces.replace(connection, number, trace)

    def page(
        self,
        *,
        task: str | None = None,
        provider: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """Return traces, the newest first.

        Args:
            task: Of this task only.
            provider: Only those with a call to this provider.
            limit: At most so many.
            after: What comes after the page that ended here.

        Raises:
            ValueError: ``after`` is no end of a page.
        """
        with self._database.read() as connection:
            return traces.page(connection, task, provider, limit, after)

    def ordered(self, by: str, *, task: str | None = None, limit: int = 50, skip: int = 0) -> list[Trace]:
        """Return traces in another order than that of time: of the newest ``traces.SORTED_TRACES``.

        Args:
            by: ``trace``, ``when``, ``task``, ``name``, ``error``, ``spans`` (their number) or ``scores``
                (their mean); with a ``-`` before it the other way round. Those without come last, and of
                equal ones the newest first.
            task: Of this task only.
            limit: At most so many.
            skip: Without so many before them.

        Raises:
            KeyError: It cannot be sorted by that.
        """
        with self._database.read() as connection:
            return traces.ordered(connection, by, task, limit, skip)

    def has(self, trace_id: str) -> bool:
        """Say whether a trace is there, by its whole id."""
        with self._database.read() as connection:
            return traces.number_of(connection, trace_id) is not None

    def one(self, trace_id: str) -> Trace | None:
        """Return a trace by its whole id; None when there is none."""
        with self._database.read() as connection:
            number = traces.number_of(connection, trace_id)
            return None if number is None else traces.one(connection, number)


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
                place = _place_for(connection, number, case)
                for sample in case.samples:
                    _put_sample(connection, place, sample)


def _place_for(connection: Connection, run: int, case: Case) -> Place:
    """Store a case and return where its samples belong: beside those it has, or in a further attempt."""
    known = runs.one_case(connection, run, case.run_id, case.id)
    there = {sample.trace.id for sample in known.samples} if known else set[str]()
    if known is None or (there and there.isdisjoint(sample.trace.id for sample in case.samples)):
        return runs.start_case(connection, run, case)
    place = runs.place_of(connection, case)
    assert place is not None
    runs.finish_case(connection, place.case, case)
    return place


def _put_sample(connection: Connection, place: Place, sample: Sample) -> None:
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
