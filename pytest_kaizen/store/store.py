"""The store as the rest of the package sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import StoreError
from ..models import ParcelKind
from . import migrations, runs, traces
from .database import Connection, Database
from .groups import Groups, LateModule
from .opening import open_database
from .outbox import Outbox
from .table import find_number, key
from .traces import Place

if TYPE_CHECKING:
    from ..models import (
        AnswerKey,
        Calibration,
        Case,
        Insight,
        PromptVersion,
        Proposal,
        RolloutKey,
        Run,
        Sample,
        Score,
        Scored,
        Trace,
    )
    from . import ledger, prompts
else:
    ledger, prompts = map(LateModule, ("ledger", "prompts"))

#: Seconds to wait for another process that writes; a transaction takes well under a millisecond.
LOCK_TIMEOUT_S = 30.0


class Store(Groups):
    """Runs, cases, traces, prompt versions and gates in one database.

    Every method that writes is one transaction: when it returns, what it stored survives the death
    of the process. One object serves all threads of a process; other processes may use the same
    database. What is read equals what was stored, except that times with a zone come back in UTC and
    values that JSON does not know (in ``input``, ``output``, ``reference`` and ``metadata``) as
    their nearest JSON.

    All methods raise ``StoreError`` when it cannot be read or written.

    Attributes:
        outbox: What the backends are owed.
    """

    def __init__(
        self, database: Database, recipients: Mapping[str, Collection[ParcelKind]] | None = None
    ) -> None:
        super().__init__(database)
        self.outbox = Outbox(database, recipients or {})

    @classmethod
    def open(
        cls,
        where: Path | str,
        *,
        readonly: bool = False,
        timeout: float = LOCK_TIMEOUT_S,
        recipients: Mapping[str, Collection[ParcelKind]] | None = None,
    ) -> Self:
        """Open a store.

        Args:
            where: The database file, or ``sqlite:///`` and its path, or the URL of a database on a
                PostgreSQL server, ``postgresql://…``. Unless ``readonly``, the file is made when it is
                absent, with its folder and a ``.gitignore`` that keeps that folder out of version
                control; on PostgreSQL the schema ``kaizen`` is.
            readonly: Read only; a missing store is an error.
            timeout: Seconds to wait for another process that writes.
            recipients: The backends that are owed what is stored through this object, with the kinds of
                parcels that each one wants.

        Raises:
            ConfigError: ``where`` is the URL of something else.
            StoreError: Missing, not writable, locked, not a database, another program's or written
                by a newer release; says what to do.
        """
        database = open_database(where, migrations.STORE, readonly=readonly, timeout=timeout)
        return cls(database, recipients)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def start_run(self, run: Run) -> None:
        """Store a new run.

        Raises:
            StoreError: Its id is taken.
        """
        with self._database.write() as connection:
            if runs.number_of(connection, run.id) is not None:
                raise self._error(f"run {run.id!r} is stored already")
            runs.add(connection, run)
            self.outbox.owe(connection, ParcelKind.RUN_BEGUN, run.id)

    def finish_run(self, run: Run, *, weak: Sequence[str] = ()) -> None:
        """Store what a started run has become: status, task summaries with their gates, notes.

        Args:
            run: The run.
            weak: The tasks that backends are to find a better prompt for.
        """
        with self._database.write() as connection:
            number = runs.number_of(connection, run.id)
            if number is None:
                raise self._error(f"run {run.id!r} was never started")
            runs.update(connection, number, run)
            self.outbox.owe(connection, ParcelKind.RUN_FINISHED, run.id, weak=weak)

    def add_sample(self, case: Case, sample: Sample, *, begins: bool = False) -> None:
        """Store a sample of a case of a started run: its verdict and its trace with spans and scores.

        A sample whose trace is stored already is left as it is, so handing one over twice is safe.

        Args:
            case: The case; it is incomplete until it is finished.
            sample: The sample.
            begins: The case begins with it. One that begins again (a rerun) keeps the traces of the
                earlier attempt, which then are no longer among its samples.
        """
        with self._database.write() as connection:
            # So that a crash does not leave it looking done.
            unfinished = case.model_copy(update={"complete": False})
            place = self._start(connection, unfinished) if begins else self._place(connection, case)
            self._add_sample(connection, place, case, sample)

    def finish_case(self, case: Case, *, begins: bool = False, sample: Sample | None = None) -> None:
        """Store the outcome and the gates of a case.

        Args:
            case: The case.
            begins: As in ``add_sample``.
            sample: A sample of it that is not stored yet.
        """
        with self._database.write() as connection:
            if begins:
                place = self._start(connection, case)
            else:
                place = self._place(connection, case)
                runs.finish_case(connection, place.case, case)
            if sample is not None:
                self._add_sample(connection, place, case, sample)
            self.outbox.owe(
                connection, ParcelKind.CASE_FINISHED, case.run_id, case_id=case.id, attempt=place.attempt
            )

    def save_prompts(self, versions: Iterable[PromptVersion]) -> None:
        """Record prompt versions; those that are recorded already stay as they are.

        Raises:
            StoreError: A version is recorded with another text. None of ``versions`` is recorded then.
        """
        with self._database.write() as connection:
            for version in versions:
                taken = prompts.add(connection, version)
                if taken not in (None, version.sha256):
                    raise self._error(
                        f"version {version.version} of prompt '{version.task}' was recorded with sha256 "
                        f"{taken} and now has {version.sha256}; a version never changes: put its text back "
                        f"and make a new version with `kaizen prompts new {version.task}`"
                    )

    def prompts(self, task: str | None = None) -> list[PromptVersion]:
        """Return the recorded versions of one task or of all, by task and number."""
        with self._database.read() as connection:
            return prompts.versions(connection, task)

    def prompt(self, task: str, version: int) -> PromptVersion | None:
        """Return a recorded version of a task; None where there is none."""
        with self._database.read() as connection:
            return prompts.one(connection, task, version)

    def runs(self, limit: int = 50) -> list[Run]:
        """Return runs, the newest first."""
        with self._database.read() as connection:
            return runs.newest(connection, limit)

    def run(self, run_id: str) -> Run:
        """Return one run by its id, an unambiguous beginning of it, or ``last``.

        Raises:
            StoreError: None or several are meant; says which there are.
        """
        with self._database.read() as connection:
            return runs.one(connection, find_number(connection, self._database.path, "runs", run_id))

    def last_whole_run(self, task: str, branch: str | None = None) -> Run | None:
        """Return the newest run that completed all cases of a task; None when there is none.

        Args:
            task: The task.
            branch: Of this branch only.
        """
        with self._database.read() as connection:
            return runs.last_whole(connection, task, branch)

    def cases(self, run_id: str) -> list[Case]:
        """Return the cases of a run (id, beginning or ``last``) in the order they began.

        Each has its gates and the samples of its last attempt, in the order of their numbers.
        """
        with self._database.read() as connection:
            number = find_number(connection, self._database.path, "runs", run_id)
            return runs.cases_of(connection, number, runs.one(connection, number).id)

    def traces(
        self,
        *,
        run_id: str | None = None,
        task: str | None = None,
        case_id: str | None = None,
        limit: int = 50,
    ) -> list[Trace]:
        """Return the traces of runs, the newest first.

        Args:
            run_id: Of this run only; the whole id.
            task: Of this task only.
            case_id: Of this case only.
            limit: At most so many.
        """
        wanted = {"run_id": run_id, "task": task, "case_id": case_id}
        filters = {column: key(value) for column, value in wanted.items() if value is not None}
        with self._database.read() as connection:
            return traces.newest(connection, filters, limit)

    def trace(self, trace_id: str) -> Trace:
        """Return one trace by its id, an unambiguous beginning of it, or ``last``.

        Raises:
            StoreError: None or several are meant; says which there are.
        """
        with self._database.read() as connection:
            return traces.one(connection, find_number(connection, self._database.path, "traces", trace_id))

    def add_rollout(self, job_id: str, trace: Trace) -> None:
        """Store what a case did under a candidate prompt.

        It is found by its id; lists leave it out, and so does all that looks at runs. One that is
        stored already is left as it is.
        """
        with self._database.write() as connection:
            traces.add_rollout(connection, job_id, trace)

    def add_score(self, trace_id: str, score: Score) -> None:
        """Store one more score of a stored trace; what its sample was judged by stays as it was.

        Raises:
            StoreError: There is no such trace.
        """
        with self._database.write() as connection:
            traces.add_score(
                connection, find_number(connection, self._database.path, "traces", trace_id), score
            )

    def save_answer(self, key: AnswerKey, answer: Any) -> None:
        """Keep a judge's answer, as JSON; one that is there already stays."""
        with self._database.write() as connection:
            ledger.add_answer(connection, key, answer)

    def answer(self, key: AnswerKey) -> Any:
        """Return a judge's answer; None when there is none."""
        with self._database.read() as connection:
            return ledger.answer(connection, key)

    def save_calibration(self, calibration: Calibration) -> None:
        """Store a calibration; earlier ones stay."""
        with self._database.write() as connection:
            ledger.add_calibration(connection, calibration)

    def calibrations(self, rubric: str | None = None) -> list[Calibration]:
        """Return the calibrations for rubrics of a name or for all, the newest first."""
        with self._database.read() as connection:
            return ledger.newest_calibrations(connection, rubric)

    def rollout(self, key: RolloutKey) -> Scored | None:
        """Return a rollout of an optimisation; None when there is none."""
        with self._database.read() as connection:
            return ledger.rollout(connection, key)

    def save_rollout(self, key: RolloutKey, scored: Scored) -> None:
        """Keep a rollout; one that is there already stays."""
        with self._database.write() as connection:
            ledger.add_rollout(connection, key, scored)

    def reflection(self, key: str) -> Any:
        """Return a reflection by the hash of its request, as JSON; None when there is none."""
        with self._database.read() as connection:
            return ledger.reflection(connection, key)

    def save_reflection(self, key: str, answer: Any) -> None:
        """Keep a reflection, as JSON; one that is there already stays."""
        with self._database.write() as connection:
            ledger.add_reflection(connection, key, answer)

    def look(self, task: str, prompt: str, candidate: str) -> int:
        """Note a look at a task's held-out cases and return its number, from 1.

        The same candidate beside the same prompt is the same look.
        """
        with self._database.write() as connection:
            return ledger.look(connection, task, prompt, candidate)

    def save_insights(self, insights: Iterable[Insight]) -> None:
        """Store insights, or what they have become, by their ids."""
        with self._database.write() as connection:
            for insight in insights:
                ledger.save(connection, ledger.INSIGHTS, insight, insight.id)

    def insights(self, task: str | None = None, status: str | None = None) -> list[Insight]:
        """Return insights, the newest first; of one task or status only, where given."""
        with self._database.read() as connection:
            return ledger.newest(connection, ledger.INSIGHTS, task, status)

    def save_proposal(self, proposal: Proposal) -> None:
        """Store a proposal, or what it has become.

        Raises:
            StoreError: Another proposal for this prompt is open.
        """
        with self._database.write() as connection:
            try:
                ledger.save(connection, ledger.PROPOSALS, proposal, proposal.id)
            except connection.IntegrityError:
                raise self._error(
                    f"'{proposal.task}' has an open proposal for this prompt already; activate or dismiss it"
                ) from None

    def proposals(self, task: str | None = None, status: str | None = None) -> list[Proposal]:
        """Return proposals, the newest first; of one task or status only, where given."""
        with self._database.read() as connection:
            return ledger.newest(connection, ledger.PROPOSALS, task, status)

    def _start(self, connection: Connection, case: Case) -> Place:
        if (number := runs.number_of(connection, case.run_id)) is None:
            raise self._error(f"run {case.run_id!r} was never started")
        return runs.start_case(connection, number, case)

    def _add_sample(self, connection: Connection, place: Place, case: Case, sample: Sample) -> None:
        traces.add_sample(connection, place, sample)
        self.outbox.owe(connection, ParcelKind.SAMPLE, case.run_id, case_id=case.id, trace_id=sample.trace.id)

    def _place(self, connection: Connection, case: Case) -> Place:
        if (place := runs.place_of(connection, case)) is None:
            raise self._error(f"case {case.id!r} of run {case.run_id!r} was never started")
        return place

    def _error(self, message: str) -> StoreError:
        return StoreError(message, path=self._database.path)
