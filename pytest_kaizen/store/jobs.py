"""Jobs: one active at a time for a task and a kind, each written by the process that has it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..errors import JobError
from ..models import Job, JobStatus
from .database import Connection, Database
from .table import Table, find_number, key, utc_text

_JOBS = Table(
    "jobs",
    Job,
    keys=("uuid",),
    columns=("id", "kind", "task", "status", "created_at", "owner", "heartbeat_at"),
)
#: The owner's kind of the secrets that were given for a job.
SEALED_KIND = "job"
_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
BY_ID = f"SELECT {_JOBS.fields} FROM jobs WHERE id = ?"
BY_UUID = f"SELECT {_JOBS.fields} FROM jobs WHERE uuid = ?"
#: With the words in it, SQLite knows that the index of the active jobs has all of them; and with a sum
#: for the order, it does not rather walk the table, which is in that order.
ACTIVE = f"SELECT {_JOBS.fields} FROM jobs WHERE status IN ('queued', 'running') ORDER BY number + 0"


class Jobs:
    """The table of jobs.

    A process that has a job writes it only while the row still names it as the owner: one that was
    taken for dead and comes back (a machine that slept) cannot undo what its successor does.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job, *, silent_since: datetime) -> None:
        """Store a new job; one that stands in its way and is dead is stopped.

        Args:
            job: The job.
            silent_since: A running job without a sign of life since then is dead.

        Raises:
            JobError: Another job of this kind is queued or running for the task.
        """
        with self._database.write() as connection:
            add_job(connection, job, silent_since)

    def require_free(self, kind: str, task: str, *, silent_since: datetime) -> None:
        """Make sure that ``add`` would take a job; raises as it does."""
        with self._database.read() as connection:
            active = _active(connection, kind, task)
        if active is not None and not active.is_dead(silent_since):
            raise _under_way(active)

    def claim(self, job_id: str, owner: str, now: datetime, *, silent_since: datetime) -> Job:
        """Make a process the owner of a job that is queued, was stopped, failed or is dead.

        Args:
            job_id: The job.
            owner: The process.
            now: The time.
            silent_since: A running job without a sign of life since then is dead.

        Returns:
            The job, running.

        Raises:
            JobError: It has been completed or is under way elsewhere, or another one of its kind and
                task is active.
            StoreError: There is no such job.
        """
        with self._database.write() as connection:
            job = self._one(connection, job_id)
            if job.status is JobStatus.COMPLETED:
                raise JobError(f"job {job.id} has been completed; there is nothing to go on with")
            if job.status is JobStatus.RUNNING and not job.is_dead(silent_since):
                raise _under_way(job)
            update = {
                "status": JobStatus.RUNNING,
                "owner": owner,
                "heartbeat_at": now,
                "started_at": job.started_at or now,
                "finished_at": None,
                "error": None,
                "not_before": None,
                # Who goes on with one that has ended waits for it, and is told at once what fails.
                "retries": 0 if job.status.final else job.retries,
            }
            claimed = job.model_copy(update=update)
            other = _active(connection, job.kind, job.task)
            if other is not None and other.id != job.id:
                raise _under_way(other)
            if not _store(connection, claimed, job.status, job.owner):
                raise _under_way(job)
            return claimed

    def write(self, job: Job, now: datetime) -> None:
        """Store what a job has become, and that its process lives.

        Raises:
            JobError: It no longer runs in the process that the job names as its owner.
        """
        alive = job.model_copy(update={"heartbeat_at": now})
        with self._database.write() as connection:
            if not _store(connection, alive, JobStatus.RUNNING, job.owner):
                raise JobError(f"job {job.id} was stopped, or another process has gone on with it")

    def amend(self, job: Job, owner: str | None = None) -> None:
        """Store what a completed job has become.

        Args:
            job: The job.
            owner: Its owner so far, where the job names another.

        Raises:
            JobError: It is not completed, or no longer that owner's.
        """
        with self._database.write() as connection:
            if not _store(connection, job, JobStatus.COMPLETED, owner or job.owner):
                raise JobError(f"job {job.id} is not completed, or is another process's")

    def beat(self, job_id: str, owner: str, now: datetime, status: JobStatus = JobStatus.RUNNING) -> bool:
        """Note that the process of a job lives; return whether it still has it, in this status."""
        query = "UPDATE jobs SET heartbeat_at = ? WHERE id = ? AND owner = ? AND status = ?"
        values = (utc_text(now), job_id, owner, status.value)
        with self._database.write() as connection:
            return connection.execute(query, values).rowcount > 0

    def stop(self, job_id: str, now: datetime) -> Job:
        """Stop a job from outside; its process learns of it with the next thing it writes.

        A job that has come to an end stays as it is.
        """
        with self._database.write() as connection:
            job = self._one(connection, job_id)
            stopped = job.model_copy(update={"status": JobStatus.STOPPED, "finished_at": now})
            return (
                job if job.status.final or not _store(connection, stopped, job.status, job.owner) else stopped
            )

    def one(self, job_id: str) -> Job:
        """Return one job by its id, an unambiguous beginning of it, or ``last``.

        Raises:
            StoreError: None or several are meant; says which there are.
        """
        with self._database.read() as connection:
            return self._one(connection, job_id)

    def find(self, job_id: str) -> Job | None:
        """Return one job by its whole id or its UUID; None where there is none."""
        with self._database.read() as connection:
            for query in (BY_ID, BY_UUID):
                row = connection.execute(query, (key(job_id),)).fetchone()
                if row is not None:
                    return _JOBS.read(row)
        return None

    def newest(
        self,
        task: str | None = None,
        *,
        kind: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs, the newest first; of one task, kind or status only, and so many, where given."""
        filters = {"task": task, "kind": kind, "status": status}
        given = {column: (value,) for column, value in filters.items() if value is not None}
        with self._database.read() as connection:
            return _select(connection, given, limit)

    def waiting(self, now: datetime, *, silent_since: datetime) -> list[Job]:
        """Return the jobs that a worker is to do, the oldest first: queued and not put off, or dead.

        Args:
            now: The time.
            silent_since: A running job without a sign of life since then is dead.
        """
        with self._database.read() as connection:
            active = map(_JOBS.read, connection.execute(ACTIVE).fetchall())
        return [job for job in active if job.is_waiting(now, silent_since)]

    def _one(self, connection: Connection, job_id: str) -> Job:
        number = find_number(connection, self._database.path, "jobs", job_id)
        row = connection.execute(f"SELECT {_JOBS.fields} FROM jobs WHERE number = ?", (number,)).fetchone()
        return _JOBS.read(row)


def add_job(connection: Connection, job: Job, silent_since: datetime) -> None:
    """Store a new job in a transaction that is open; see ``Jobs.add``."""
    active = _active(connection, job.kind, job.task)
    if active is not None and active.is_dead(silent_since):
        ended = {"status": JobStatus.STOPPED, "finished_at": active.heartbeat_at}
        _store(connection, active.model_copy(update=ended), active.status, active.owner)
    elif active is not None:
        raise _under_way(active)
    try:
        connection.execute(_JOBS.insert, (str(job.uuid), *_JOBS.row(job)))
    except connection.IntegrityError:
        raise _under_way(job) from None


def _select(
    connection: Connection, filters: Mapping[str, Sequence[str]], limit: int | None = None
) -> list[Job]:
    wanted: list[str | int] = [key(str(value)) for values in filters.values() for value in values]
    if limit is not None:
        wanted.append(limit)
    query = select_query(
        {column: len(values) for column, values in filters.items()}, limited=limit is not None
    )
    return [_JOBS.read(row) for row in connection.execute(query, wanted).fetchall()]


def select_query(filters: Mapping[str, int], *, limited: bool) -> str:
    """Return the query for jobs by fields with so many values each, the newest first."""
    where = " AND ".join(f"{column} IN ({', '.join('?' * count)})" for column, count in filters.items())
    limit = " LIMIT ?" if limited else ""
    return f"SELECT {_JOBS.fields} FROM jobs WHERE {where or 'TRUE'} ORDER BY number DESC{limit}"


def _active(connection: Connection, kind: str, task: str) -> Job | None:
    found = _select(connection, {"kind": [kind], "task": [task], "status": _ACTIVE})
    return found[0] if found else None


def _store(connection: Connection, job: Job, status: JobStatus, owner: str | None) -> bool:
    """Store what a job has become, if its row still has this status and this owner."""
    query = f"{_JOBS.update} WHERE id = ? AND status = ? AND COALESCE(owner, '') = ?"
    held = (job.id, status.value, owner or "")
    stored = connection.execute(query, (*_JOBS.changes(job), *held)).rowcount > 0
    if stored and job.status.final:
        # What was confided for the job goes with its end, whoever ends it.
        connection.execute("DELETE FROM sealed WHERE kind = ? AND owner = ?", (SEALED_KIND, job.id))
    return stored


def _under_way(job: Job) -> JobError:
    what = f"job {job.id} ({job.kind} for '{job.task}')"
    if job.heartbeat_at is None:
        return JobError(f"{what} is {job.status.value} since {job.created_at:%Y-%m-%d %H:%M:%S} UTC")
    return JobError(
        f"{what} is under way; its process {job.owner} showed a sign of life at "
        f"{job.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC; wait for it, or stop it there with Ctrl-C"
    )
